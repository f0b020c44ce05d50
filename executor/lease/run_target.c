#include "executor/lease/run_target.h"

#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "executor/cache/programs.h"
#include "executor/cache/skills.h"
#include "executor/db_thread/child_checks.h"
#include "executor/db_thread/compile_jobs.h"
#include "skill/extra.h"
#include "store/model.h"

enum {
    /* Validations that are out, or whose results nobody has taken. */
    CHECKS_MAX = 64,
    /* Programs and manifests that are being compiled: more would push each other out of the caches before
     * they are used. */
    COMPILING_MAX = 3,
    /* A result that nobody has taken for so long is not needed: the schedule or the job has changed. */
    CHECK_KEPT_MS = 60000,
};

/* The validation of one schedule's or one retry's inputs, in the compute thread or with its result. */
struct target_check {
    struct child_job child; /* first; child.is_out: the compute thread has it */
    /* the schedule, or the execution that is retried */
    id item;
    id responder;
    int version;
    int64_t began_ms;
    TAILQ_ENTRY(target_check) link;
};

struct run_targets {
    /* This thread's caches, its connection, and what it has left to the compute thread. */
    struct db_thread_ctx thread_ctx;
    struct thread_queue *queue;
    TAILQ_HEAD(target_checks, target_check) kept;
    size_t kept_n;
    /* Programs and manifests that are being compiled. */
    size_t compiling_n;
    /* This turn could not wait for something any longer. */
    bool has_deferred;
    int64_t wait_until_ms;
    /* What run_targets_program has read last; NULL: nothing. */
    struct cached_program *read;
};

static int run_targets_destroy(struct run_targets *targets)
{
    cached_program_unref(targets->read);
    child_checks_free(targets->thread_ctx.checks);
    compile_jobs_free(targets->thread_ctx.compiling);
    return 0;
}

/* On the compute thread. */
static void wake_maintenance(void *arg)
{
    struct run_targets *targets = arg;
    thread_queue_wake(targets->queue);
}

struct run_targets *run_targets_new(void *ctx, struct compute_thread *compute, struct thread_queue *queue)
{
    struct run_targets *targets = talloc_zero(ctx, struct run_targets);
    targets->queue = queue;
    TAILQ_INIT(&targets->kept);
    targets->thread_ctx = (struct db_thread_ctx){
        .programs = compiled_programs_new(targets, NULL, NULL),
        .skills = compiled_skills_new(targets, NULL, NULL),
        .compiling = compile_jobs_new(NULL, compute, wake_maintenance, targets),
        .checks = child_checks_new(NULL, compute, wake_maintenance, targets),
    };
    talloc_set_destructor(targets, run_targets_destroy);
    return targets;
}

/* --- the compute thread's results --- */

static void take_computed(struct run_targets *targets)
{
    for (struct child_job *child; (child = child_check_take(targets->thread_ctx.checks));)
        talloc_steal(targets, child)->is_out = false;
    for (struct compile_job *job; (job = compile_take(targets->thread_ctx.compiling));) {
        compile_job_add(&targets->thread_ctx, job);
        targets->compiling_n--;
        talloc_free(job);
    }
}

/* Waits for a result. False: the turn's time for that is over, or the thread is ending. */
static bool await_computed(struct run_targets *targets)
{
    int64_t left_ms = targets->wait_until_ms - clock_boot_ms();
    if (left_ms <= 0 || thread_queue_is_ending(targets->queue))
        return false;
    thread_queue_wait_any(targets->queue, (long)left_ms);
    return true;
}

static void forget_check(struct run_targets *targets, struct target_check *check)
{
    TAILQ_REMOVE(&targets->kept, check, link);
    targets->kept_n--;
    talloc_free(check);
}

/* The one that began first and whose result is there; NULL: none. */
static struct target_check *oldest_result(struct run_targets *targets)
{
    struct target_check *check;
    TAILQ_FOREACH(check, &targets->kept, link)
    {
        if (!check->child.is_out)
            return check;
    }
    return NULL;
}

void run_targets_begin(struct run_targets *targets, struct db *db)
{
    int64_t now_ms = clock_boot_ms();
    targets->thread_ctx.db = db;
    targets->wait_until_ms = now_ms + TARGETS_WAIT_MS;
    targets->has_deferred = false;
    take_computed(targets);
    for (struct target_check *check;
         (check = oldest_result(targets)) && now_ms - check->began_ms > CHECK_KEPT_MS;)
        forget_check(targets, check);
}

bool run_targets_have_deferred(const struct run_targets *targets)
{
    return targets->has_deferred;
}

static enum err defer_limit(struct run_targets *targets, enum err e)
{
    targets->has_deferred |= e == ERR_LIMIT;
    return e == ERR_LIMIT ? ERR_RETRY : e;
}

/* --- programs and manifests --- */

static enum err find_program(struct run_targets *targets, const id *workspace, const id *workflow,
                             int version, struct cached_program **program_r)
{
    struct db_thread_ctx *c = &targets->thread_ctx;
    struct compile_source source = {.workspace_id = *workspace, .responder = *workflow, .version = version};
    size_t left = COMPUTE_INLINE_MAX;
    size_t text_max = targets->compiling_n < COMPILING_MAX ? INT64_MAX : COMPUTE_INLINE_MAX;
    if (compile_wait(c->compiling, workflow, version, NULL))
        return ERR_LIMIT;
    void *scratch = talloc_new(NULL);
    enum err e = compiled_programs_get_within(c->programs, c->db, scratch, workflow, version, text_max, &left,
                                              program_r, &source.program, &source.program_size);
    if (e == ERR_LIMIT && source.program) {
        compile_for_job(c, &source, NULL);
        targets->compiling_n++;
    }
    talloc_free(scratch);
    return e;
}

static enum err get_program(struct run_targets *targets, const id *workspace, const id *workflow, int version,
                            struct cached_program **program_r)
{
    enum err e;
    do {
        take_computed(targets);
        e = find_program(targets, workspace, workflow, version, program_r);
    } while (e == ERR_LIMIT && await_computed(targets));
    return defer_limit(targets, e);
}

/* The skill's current version, which may have another id if the skill was removed and installed again. */
static enum err find_skill(struct run_targets *targets, const id *workspace, const char *slug,
                           struct cached_skill **skill_r)
{
    struct db_thread_ctx *c = &targets->thread_ctx;
    size_t left = COMPUTE_INLINE_MAX;
    struct skill row;
    void *scratch = talloc_new(NULL);
    enum err e =
        compiled_skills_find_within(c->skills, c->db, scratch, workspace, slug, &left, skill_r, &row);
    if (e == ERR_LIMIT && targets->compiling_n < COMPILING_MAX &&
        !compile_wait(c->compiling, &row.id, row.version, NULL)) {
        enum err submitted = compile_skill_for_job(c, workspace, &row, NULL);
        targets->compiling_n += submitted == OK;
        e = submitted == OK ? ERR_LIMIT : submitted;
    }
    talloc_free(scratch);
    return e;
}

static enum err get_skill(struct run_targets *targets, const id *workspace, const char *slug,
                          struct cached_skill **skill_r)
{
    enum err e;
    do {
        take_computed(targets);
        e = find_skill(targets, workspace, slug, skill_r);
    } while (e == ERR_LIMIT && await_computed(targets));
    return defer_limit(targets, e);
}

/* --- inputs --- */

static struct target_check *find_check(struct run_targets *targets, const id *item,
                                       const struct child_schema *by, struct span inputs)
{
    struct target_check *check;
    TAILQ_FOREACH(check, &targets->kept, link)
    {
        struct span had = check->child.request.input;
        if (check->version == by->version && id_equal(&check->responder, &by->responder) &&
            id_equal(&check->item, item) && had.size == inputs.size &&
            memcmp(had.at, inputs.at, inputs.size) == 0)
            return check;
    }
    return NULL;
}

/* False: there is no place, as the compute thread has all that are kept. */
static bool submit_check(struct run_targets *targets, struct target_check *check,
                         const struct child_schema *by)
{
    struct span *inputs = &check->child.request.input;
    struct target_check *oldest = targets->kept_n == CHECKS_MAX ? oldest_result(targets) : NULL;
    if (oldest)
        forget_check(targets, oldest);
    if (targets->kept_n == CHECKS_MAX)
        return false;
    inputs->at = talloc_memdup(check, inputs->at, inputs->size);
    check->began_ms = clock_boot_ms();
    check->child.is_out = true;
    TAILQ_INSERT_TAIL(&targets->kept, check, link);
    targets->kept_n++;
    child_check_submit(targets->thread_ctx.checks, &check->child, by);
    return true;
}

/* ERR_LIMIT: the compute thread validates the inputs, or will when it has room. */
static enum err begin_check(struct run_targets *targets, const id *item, const struct run_request *req,
                            const struct child_schema *by)
{
    struct target_check *check = talloc_zero(NULL, struct target_check);
    check->item = *item;
    check->responder = by->responder;
    check->version = by->version;
    check->child.request.workspace_id = req->workspace_id;
    check->child.request.input = req->input;
    if (child_check_now(&check->child, by)) {
        enum err e = check->child.check.e;
        talloc_free(check);
        return e == OK || err_is_transient(e) ? e : ERR_INVALID;
    }
    if (!submit_check(targets, check, by))
        talloc_free(check);
    return ERR_LIMIT;
}

static enum err find_result(struct run_targets *targets, const struct run_request *req,
                            const struct child_schema *by)
{
    const id *item = id_is_set(&req->retry_of) ? &req->retry_of : &req->occurrence.schedule_id;
    struct target_check *check = find_check(targets, item, by, req->input);
    if (!check)
        return begin_check(targets, item, req, by);
    if (check->child.is_out)
        return ERR_LIMIT;
    enum err e = check->child.check.e;
    forget_check(targets, check);
    return e == OK || err_is_transient(e) ? e : ERR_INVALID;
}

/* ERR_INVALID: the inputs do not match the schema of the current version. */
static enum err check_inputs(struct run_targets *targets, struct run_request *req,
                             const struct child_schema *by)
{
    enum err e;
    if (!req->input.at)
        req->input = span_text("{}");
    do {
        take_computed(targets);
        e = find_result(targets, req, by);
    } while (e == ERR_LIMIT && await_computed(targets));
    return defer_limit(targets, e);
}

/* --- targets --- */

enum err run_target_workflow(struct run_targets *targets, struct run_request *req)
{
    struct child_schema by = {.responder = req->responder_id, .what = "workflow"};
    struct current_row row;
    enum err e = compiled_programs_find_current(targets->thread_ctx.programs, targets->thread_ctx.db,
                                                &req->workspace_id, &req->responder_id, &row);
    if (e != OK)
        return e;
    by.version = req->version = row.version;
    req->price = row.price;
    e = get_program(targets, &req->workspace_id, &req->responder_id, req->version, &by.program);
    if (e == OK) {
        req->credits_asked = cached_program_compiled(by.program)->credits_micro;
        by.schema = cached_program_compiled(by.program)->inputs;
        e = check_inputs(targets, req, &by);
    }
    cached_program_unref(by.program);
    return e;
}

static enum err fill_skill(struct db *db, void *ctx, const struct manifest *m, const struct skill *row,
                           struct run_request *req)
{
    struct skill_extra extra = {.slug = row->slug, .label = row->label};
    enum err e =
        m->runner == RUNNER_MODEL ? model_resolve(db, ctx, &req->workspace_id, NULL, &extra.model) : OK;
    if (e == ERR_NOT_FOUND)
        return ERR_INVALID; /* the workspace has no default model */
    req->responder_id = row->id;
    req->version = row->version;
    req->price = row->price;
    req->credits_asked = row->credits;
    req->agentic = row->agentic;
    req->extra = skill_extra_json(ctx, &extra);
    return e;
}

enum err run_target_skill(struct run_targets *targets, void *ctx, const char *slug, struct run_request *req)
{
    struct child_schema by = {.what = "skill"};
    enum err e = get_skill(targets, &req->workspace_id, slug, &by.skill);
    if (e == OK) {
        by.responder = cached_skill_row(by.skill)->id;
        by.version = cached_skill_row(by.skill)->version;
        by.schema = cached_skill_manifest(by.skill)->inputs;
        e = check_inputs(targets, req, &by);
    }
    if (e == OK)
        e = fill_skill(targets->thread_ctx.db, ctx, cached_skill_manifest(by.skill),
                       cached_skill_row(by.skill), req);
    cached_skill_unref(by.skill);
    return e;
}

enum err run_targets_program(struct run_targets *targets, const id *workspace, const id *workflow,
                             int version, const struct program **program_r)
{
    struct cached_program *program;
    enum err e = get_program(targets, workspace, workflow, version, &program);
    if (e != OK)
        return e;
    cached_program_unref(targets->read);
    targets->read = program;
    *program_r = cached_program_compiled(program);
    return OK;
}
