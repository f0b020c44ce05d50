#include "executor/db_thread/accept_children.h"

#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "executor/db_thread/child_checks.h"
#include "executor/db_thread/compile_jobs.h"
#include "store/model.h"

enum {
    /* For loading and validating the children of one batch: other commits wait for it. The last one may
     * exceed it, by parsing COMPUTE_INLINE_MAX bytes and CHILD_CHECKS_INLINE. */
    PREPARE_US = 5000,
};

static enum err load_child_version(struct db_thread_ctx *thread_ctx, struct child_job *j)
{
    struct run_request *request = &j->request;
    struct compiled_programs *programs = thread_ctx->programs;
    const struct current_row *kept =
        current_rows_get(compiled_programs_rows(programs), &request->workspace_id, request->responder_id.text,
                         clock_boot_ms());
    struct current_row row;
    enum err e = OK;
    j->by_kept_row = kept;
    if (kept)
        row = *kept;
    else
        e = compiled_programs_find_current(programs, thread_ctx->db, &request->workspace_id,
                                           &request->responder_id, &row);
    if (e == ERR_NOT_FOUND)
        j->why = "the workflow does not exist";
    if (e != OK)
        return e;
    request->version = row.version;
    request->price = row.price;
    request->catalog_version = row.catalog_version;
    return OK;
}

/* Finds the child that an earlier attempt has started, if there is one. */
static enum err find_earlier_child(struct db_thread_ctx *thread_ctx, struct child_job *j)
{
    const struct run_request *request = &j->request;
    struct db_value args[] = {db_id(&request->parent.id), db_number(request->parent.step),
                              db_number(request->parent.item), db_number(request->parent.try)};
    struct db_rows *rows;
    enum err e = db_run(thread_ctx->db, j, SQL_EXECUTION_CHILD_FIND, args, 4, &rows);
    if (e == OK && rows->count > 0)
        j->answer = (struct run_answer){.verdict = RUN_CHILD_EXISTS,
                                        .execution_id = db_get_id(rows, 0, EXECUTION_CHILD_FIND_CHILD_ID)};
    return e;
}

/* ERR_RETRY: the compute thread has the child now, or would have to, but the child belongs to a commit. */
static enum err check_child_inputs(struct db_thread_ctx *thread_ctx, struct child_job *j,
                                   const struct child_schema *by)
{
    struct child_check *check = &j->check;
    bool known = check->version == by->version && id_equal(&check->responder, &by->responder);
    if (!known && !child_check_now(j, by)) {
        if (j->joins)
            return ERR_RETRY;
        j->is_out = true;
        child_check_submit(thread_ctx->checks, j, by);
        return ERR_RETRY;
    }
    j->why = check->why;
    j->reason = check->reason;
    return check->e;
}

/* The children of a large program read its text once: those that come while it is compiled wait for it. */
static enum err load_child_program(struct db_thread_ctx *thread_ctx, struct child_job *j,
                                   size_t *compile_left, struct cached_program **program_r)
{
    const struct run_request *req = &j->request;
    struct compile_source source = {
        .workspace_id = req->workspace_id, .responder = req->responder_id, .version = req->version};
    struct job *waiting = j->joins ? NULL : &j->job;
    if (compile_wait(thread_ctx->compiling, &req->responder_id, req->version, waiting)) {
        j->is_out = waiting != NULL;
        return ERR_RETRY;
    }
    void *scratch = talloc_new(NULL);
    enum err e = compiled_programs_get_within(thread_ctx->programs, thread_ctx->db, scratch,
                                              &req->responder_id, req->version, INT64_MAX, compile_left,
                                              program_r, &source.program, &source.program_size);
    if (e == ERR_LIMIT) {
        compile_for_job(thread_ctx, &source, waiting);
        j->is_out = waiting != NULL;
        e = ERR_RETRY;
    }
    talloc_free(scratch);
    return e;
}

static enum err prepare_child_workflow(struct db_thread_ctx *thread_ctx, struct child_job *j,
                                       size_t *compile_left)
{
    struct child_schema by = {.what = "workflow"};
    enum err e = load_child_version(thread_ctx, j);
    if (e == OK)
        e = load_child_program(thread_ctx, j, compile_left, &by.program);
    if (e != OK)
        return e;
    by.responder = j->request.responder_id;
    by.version = j->request.version;
    j->request.credits_asked = cached_program_compiled(by.program)->credits_micro;
    by.schema = cached_program_compiled(by.program)->inputs;
    e = check_child_inputs(thread_ctx, j, &by);
    cached_program_unref(by.program);
    return e;
}

/* Resolves the model alias that the child will use: the requested one, or the workspace's default if the
 * skill calls a model. */
static enum err choose_child_model(struct db_thread_ctx *thread_ctx, struct child_job *j,
                                   const struct manifest *m)
{
    j->extra.model = j->model;
    if (!j->model && m->runner != RUNNER_MODEL)
        return OK;
    enum err e = model_resolve(thread_ctx->db, j, &j->request.workspace_id, j->model, &j->extra.model);
    if (e == ERR_NOT_FOUND)
        j->why = j->model ? "model not configured for this workspace" : "the workspace has no default model";
    return e;
}

static void fill_skill_request(struct child_job *j, const struct skill *row)
{
    struct run_request *request = &j->request;
    request->responder_id = row->id;
    request->version = row->version;
    request->price = row->price;
    request->credits_asked = row->credits;
    request->agentic = row->agentic;
    j->extra.slug = row->slug;
    j->extra.label = row->label;
    request->extra = skill_extra_json(j, &j->extra);
}

static enum err find_child_skill(struct db_thread_ctx *thread_ctx, struct child_job *j, size_t *compile_left,
                                 struct cached_skill **skill_r)
{
    *skill_r = compiled_skills_find_kept(thread_ctx->skills, &j->request.workspace_id, j->slug);
    j->by_kept_row = *skill_r;
    if (*skill_r)
        return OK;
    void *scratch = talloc_new(NULL);
    struct skill row;
    enum err e = compiled_skills_find_within(thread_ctx->skills, thread_ctx->db, scratch,
                                             &j->request.workspace_id, j->slug, compile_left, skill_r, &row);
    if (e == ERR_NOT_FOUND)
        j->why = talloc_asprintf(j, "the workspace has no skill %s", j->slug);
    if (e == ERR_LIMIT) {
        struct job *waiting = j->joins ? NULL : &j->job;
        e = compile_skill_for_job(thread_ctx, &j->request.workspace_id, &row, waiting);
        j->is_out = e == OK && waiting;
        e = e == OK ? ERR_RETRY : e;
    }
    talloc_free(scratch);
    return e;
}

static enum err prepare_child_skill(struct db_thread_ctx *thread_ctx, struct child_job *j,
                                    size_t *compile_left)
{
    struct child_schema by = {.what = "skill"};
    enum err e = find_child_skill(thread_ctx, j, compile_left, &by.skill);
    if (e != OK)
        return e;
    const struct skill *row = cached_skill_row(by.skill);
    const struct manifest *m = cached_skill_manifest(by.skill);
    by.responder = row->id;
    by.version = row->version;
    by.schema = m->inputs;
    j->request.catalog_version = row->catalog_version;
    e = check_child_inputs(thread_ctx, j, &by);
    if (e == OK)
        e = choose_child_model(thread_ctx, j, m);
    if (e == OK)
        fill_skill_request(j, row);
    cached_skill_unref(by.skill);
    return e;
}

/* It was prepared by a version or a price that was no longer current: preparing it again decides it. */
static bool is_outdated(const struct child_job *j)
{
    return j->answer.verdict == RUN_RESPONDER_CHANGED;
}

/* The row that the request was completed with is read anew the next time, unless another child has done that.
 */
static void forget_child_row(struct db_thread_ctx *thread_ctx, const struct child_job *j)
{
    const struct run_request *request = &j->request;
    if (j->slug)
        current_rows_forget(compiled_skills_rows(thread_ctx->skills), &request->workspace_id, j->slug,
                            request->catalog_version);
    else
        current_rows_forget(compiled_programs_rows(thread_ctx->programs), &request->workspace_id,
                            request->responder_id.text, request->catalog_version);
}

static enum err prepare_by_row(struct db_thread_ctx *thread_ctx, struct child_job *j, size_t *compile_left)
{
    return j->slug ? prepare_child_skill(thread_ctx, j, compile_left)
                   : prepare_child_workflow(thread_ctx, j, compile_left);
}

/* A child is not rejected by a row that may be outdated. */
static enum err prepare_by_current_row(struct db_thread_ctx *thread_ctx, struct child_job *j,
                                       size_t *compile_left)
{
    enum err e = prepare_by_row(thread_ctx, j, compile_left);
    if (e == OK || err_is_transient(e) || !j->by_kept_row)
        return e;
    forget_child_row(thread_ctx, j);
    j->why = NULL;
    j->reason = REASON_NONE;
    return prepare_by_row(thread_ctx, j, compile_left);
}

/* Does what accept_batch leaves to its callers. Every error that is not transient rejects the child for good,
 * unless it is out. */
static enum err prepare_child(struct db_thread_ctx *thread_ctx, struct child_job *j, size_t *compile_left)
{
    if (is_outdated(j))
        forget_child_row(thread_ctx, j);
    j->is_out = false;
    j->why = NULL;
    j->reason = REASON_NONE;
    j->answer = (struct run_answer){0};
    enum err e = j->resumed ? find_earlier_child(thread_ctx, j) : OK;
    if (e != OK || j->answer.verdict == RUN_CHILD_EXISTS)
        return e;
    e = prepare_by_current_row(thread_ctx, j, compile_left);
    if (e != OK && !err_is_transient(e) && !j->why)
        j->why = "the run could not be started";
    return e;
}

static const char *refusal_text(enum run_verdict verdict)
{
    switch (verdict) {
    case RUN_INSUFFICIENT_CREDITS:
        return "the balance does not cover the run";
    case RUN_BUDGET_EXCEEDED:
        return "a budget of the workspace does not allow the run";
    case RUN_TREE_LIMIT:
        return "the tree of runs would be too deep or too large";
    case RUN_PARENT_GONE:
        return "the parent run was stopped or taken over";
    default:
        return "the run could not be started";
    }
}

bool child_is_decided(const struct child_job *j)
{
    enum run_verdict v = j->answer.verdict;
    return v != RUN_UNAVAILABLE && v != RUN_UNCERTAIN && v != RUN_RESPONDER_CHANGED && v != RUN_ACCOUNT_BUSY;
}

bool child_is_busy(const struct child_job *j)
{
    return j->answer.verdict == RUN_ACCOUNT_BUSY;
}

bool child_is_held_up(const struct child_job *j)
{
    return j->answer.verdict == RUN_UNAVAILABLE || j->answer.verdict == RUN_UNCERTAIN;
}

size_t prepare_children(struct db_thread_ctx *thread_ctx, struct child_job *const *jobs, size_t n)
{
    size_t compile_left = COMPUTE_INLINE_MAX;
    int64_t until_us = clock_boot_us() + PREPARE_US;
    for (size_t i = 0; i < n; i++) {
        struct child_job *j = jobs[i];
        if (i > 0 && clock_boot_us() > until_us)
            return i;
        /* Only the account was missing: the request is still complete, and validating it again would cost. */
        j->is_ready = child_is_busy(j);
        if (j->is_ready)
            continue;
        enum err e = prepare_child(thread_ctx, j, &compile_left);
        if (j->is_out)
            continue;
        if (err_is_transient(e))
            j->answer.verdict = RUN_UNAVAILABLE;
        j->is_ready = e == OK && j->answer.verdict == 0;
    }
    return n;
}

void child_take_answer(struct child_job *j, const struct run_answer *answer)
{
    j->answer = *answer;
    j->request.parent.is_first = false;
    if (answer->verdict != RUN_ACCEPTED && answer->verdict != RUN_CHILD_EXISTS)
        j->why = refusal_text(answer->verdict);
}

void accept_children(struct db_thread_ctx *thread_ctx, struct child_job *const *jobs, size_t n)
{
    const struct run_request *requests[ACCEPT_GROUP_MAX];
    struct run_answer answers[ACCEPT_GROUP_MAX];
    if (n == 0)
        return;
    void *scratch = talloc_new(NULL);
    for (size_t i = 0; i < n; i++)
        requests[i] = &jobs[i]->request;
    accept_batch(thread_ctx->db, thread_ctx->redis, scratch, requests, n, 0, answers);
    for (size_t i = 0; i < n; i++)
        child_take_answer(jobs[i], &answers[i]);
    talloc_free(scratch);
}
