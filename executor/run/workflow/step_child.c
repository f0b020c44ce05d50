/* Step types `workflow` and `skill`: a child execution. It is accepted like any other run. A resumed run
 * finds it again by (run, step, item, try). The parent waits for it without a slot. */
#include <string.h>
#include <talloc.h>

#include "executor/db_thread/accept_children.h"
#include "executor/run/child_watch.h"
#include "executor/run/workflow/action.h"
#include "run/stop.h"
#include "service/compute_thread.h"
#include "store/model.h"
#include "workflow/program_eval.h"

struct child_action {
    struct action *action;
    /* its `arg` is cleared if the action is freed first */
    struct child_job *accept_job;
    /* set: accepted */
    id child;
    bool ended;
    struct child_end end;
    /* of a child that has succeeded, once it has been computed */
    json_object *result;
};

/* --- the end of the child --- */

static void compute_result(void *state, void *ctx)
{
    struct child_action *s = state;
    json_object *result = json_own(ctx, json_object_new_object());
    json_object *outputs = NULL;
    const char *why;
    const char *text = s->end.output;
    json_object_object_add(result, "execution_id", json_object_new_string(s->child.text));
    if (text && json_parse_tolerant(ctx, text, strlen(text), TEMPLATE_DEPTH_MAX + 1, &outputs, &why) == OK)
        json_object_get(outputs);
    json_object_object_add(result, "outputs", outputs);
    s->result = result;
}

static void finish_child_action(struct action *a)
{
    struct child_action *s = a->state;
    void *scratch = talloc_new(NULL);
    if (s->end.state == STATE_SUCCEEDED) {
        action_succeed(a, s->result);
    } else {
        const char *error = s->end.error ? s->end.error : "";
        struct action_failure failure = {
            .error = talloc_asprintf(scratch, "execution %s %s%s%s", s->child.text, state_name(s->end.state),
                                     *error ? ": " : "", error),
            .retry = s->end.reason == REASON_TIMEOUT || s->end.reason == REASON_EXECUTOR_LOST};
        action_fail(a, &failure);
    }
    talloc_free(scratch);
}

/* The run has a slot again. */
static void handle_child_end(struct action *a)
{
    struct child_action *s = a->state;
    if (s->end.output && strlen(s->end.output) > COMPUTE_INLINE_MAX) {
        action_compute(a, compute_result, finish_child_action);
        return;
    }
    compute_result(s, s);
    finish_child_action(a);
}

static void on_child_end(void *arg, const struct child_end *end)
{
    struct child_action *s = arg;
    s->ended = true;
    s->end = *end;
    s->end.output = end->output ? talloc_strdup(s, end->output) : NULL;
    s->end.error = end->error ? talloc_strdup(s, end->error) : NULL;
    action_wake(s->action, handle_child_end);
}

/* --- stopping a child that is no longer needed --- */

struct stop_child_job {
    struct job job;
    struct stop_request request;
};

static void stop_child_work(struct job *job, struct db_thread_ctx *thread_ctx)
{
    struct stop_child_job *j = (struct stop_child_job *)job;
    struct idempotency_match replay;
    (void)stop_run(thread_ctx->db, thread_ctx->redis, j, &j->request, &replay);
}

static void on_child_stopped(struct job *job)
{
    talloc_free(job);
}

/* The action timed out, or another item of its for_each failed: the run continues without this child. */
static void stop_child(struct executor *exec, const id *workspace, const id *child)
{
    struct stop_child_job *j = talloc_zero(NULL, struct stop_child_job);
    j->job = (struct job){.kind = JOB_CALL, .work = stop_child_work, .done = on_child_stopped};
    j->request = (struct stop_request){
        .workspace_id = *workspace, .execution_id = *child, .error = "the parent run continued without it"};
    db_thread_submit(exec->db_thread, &j->job);
}

/* --- starting the child --- */

static void on_child_accepted(struct job *job)
{
    struct child_job *j = (struct child_job *)job;
    struct child_action *s = job->arg;
    enum run_verdict verdict = j->answer.verdict;
    bool accepted = verdict == RUN_ACCEPTED || verdict == RUN_CHILD_EXISTS;
    if (!s) { /* the action was freed in the meantime; the end of the run stops the child, if it has come */
        if (accepted && j->unwanted_by)
            stop_child(j->unwanted_by, &j->request.workspace_id, &j->answer.execution_id);
        talloc_free(j);
        return;
    }
    struct action *a = s->action;
    s->accept_job = NULL;
    job->arg = NULL;
    if (!accepted || !id_equal(&j->answer.execution_id, &j->request.execution_id))
        child_watch_forget(a->run->exec->child_watch, &j->request.execution_id);
    if (accepted) {
        s->child = j->answer.execution_id;
        child_watch_add(a->run->exec->child_watch, &s->child, on_child_end, s);
        if (a->resumed)
            action_start_timeout(a);
        action_wait(a);
        run_flush(a->run);
    } else {
        struct action_failure failure = {.error = j->why,
                                         .reason = verdict == RUN_INSUFFICIENT_CREDITS
                                                       ? REASON_INSUFFICIENT_CREDITS
                                                   : verdict == RUN_BUDGET_EXCEEDED ? REASON_BUDGET_EXCEEDED
                                                                                    : j->reason};
        action_fail(a, &failure);
    }
    talloc_free(j);
}

static void fill_child_request(struct child_job *j, const struct action *a, json_object *inputs)
{
    const struct active_run *run = a->run;
    struct run_request *request = &j->request;
    size_t size;
    const char *text = json_text(inputs, &size);
    request->execution_id = id_new();
    request->workspace_id = run->row.workspace_id;
    request->principal_id = run->principal_id;
    request->key_id = run->row.key_id;
    if (a->step->type == STEP_TYPE_WORKFLOW)
        (void)id_parse(a->step->workflow_id, strlen(a->step->workflow_id), &request->responder_id);
    else
        j->slug = talloc_strdup(j, a->step->slug);
    request->kind = a->step->type == STEP_TYPE_WORKFLOW ? KIND_WORKFLOW : KIND_SKILL;
    request->source = SOURCE_WORKFLOW;
    request->price = -1;
    request->parent.id = run->row.id;
    request->parent.root_id = run->row.root_id;
    request->parent.attempt = run->row.attempt;
    request->parent.step = (int)a->step->index;
    request->parent.item = a->item;
    request->parent.try = a->tries;
    request->parent.depth = run->row.depth;
    request->parent.deadline_ms = run->row.deadline_ms;
    run_trace_child(&run->trace, action_trace_key(a), j, &request->trace, &request->trace_state);
    const char *started = talloc_asprintf(j, "{\"execution_id\":\"%s\",\"step_index\":%zu,\"step\":\"%s\"}",
                                          request->execution_id.text, a->step->index, a->step->name);
    request->parent.started = span_text(started);
    request->parent.is_first = run->row.attempt == 0;
    request->input = (struct span){.at = talloc_strndup(j, text, size), .size = size};
    request->first_response.status = a->step->type == STEP_TYPE_WORKFLOW ? 202 : 201;
}

/* The result of the file_source_ids template, which must be an array of strings. */
static enum err read_file_names(struct child_job *j, json_object *list, const char **why_r)
{
    *why_r = "file_source_ids must be an array of strings without NULs";
    if (!json_object_is_type(list, json_type_array))
        return ERR_INVALID;
    size_t n = json_object_array_length(list);
    const char **names = talloc_array(j, const char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        json_object *name = json_object_array_get_idx(list, i);
        names[i] = talloc_strdup(names, json_plain(name));
        if (!names[i])
            return ERR_INVALID;
    }
    j->extra.file_source_ids = names;
    j->extra.file_source_ids_n = n;
    return OK;
}

static enum err render_skill_fields(void *scratch, struct child_job *j, const struct action *a,
                                    const struct template_scope *scope, const char **why_r)
{
    const struct program_step *step = a->step;
    json_object *files;
    char *model = NULL;
    size_t size;
    enum err e = OK;
    if (step->model)
        e = template_render_text(j, step->model, scope, MODEL_ALIAS_MAX + 1, &model, &size, why_r);
    if (e == OK && model && strlen(model) != size) {
        *why_r = "the model's alias contains a NUL";
        e = ERR_INVALID;
    }
    j->model = model;
    if (e == OK && step->file_source_ids) {
        e = template_render(scratch, step->file_source_ids, scope, PROGRAM_RESULT_MAX, &files, why_r);
        if (e == OK)
            e = read_file_names(j, files, why_r);
    }
    return e;
}

/* The job that starts the child; an error is why the step fails. */
static enum err new_child_job(struct action *a, struct child_job **job_r, struct action_failure *failure)
{
    struct template_scope scope = action_scope(a);
    struct child_job *j = talloc_zero(NULL, struct child_job);
    /* rendered values share parts of the scope, which stays on this thread */
    void *scratch = talloc_new(NULL);
    json_object *inputs;
    const char *why = NULL;
    enum err e = program_child_inputs(scratch, a->step, &scope, &inputs, &why);
    if (e == OK && a->step->type == STEP_TYPE_SKILL)
        e = render_skill_fields(scratch, j, a, &scope, &why);
    if (e == OK) {
        fill_child_request(j, a, inputs);
        j->resumed = a->resumed;
        *job_r = j;
    } else {
        const char *error = why ? why : "the inputs could not be rendered";
        *failure =
            (struct action_failure){.error = talloc_strdup(a, error), .reason = scope_failure_reason(&scope)};
        talloc_free(j);
    }
    talloc_free(scratch);
    return e;
}

/* The job was freed with the commit that had it. */
static int forget_accept_job(struct child_job *j)
{
    struct child_action *s = j->job.arg;
    if (!s)
        return 0;
    struct child_watch *watch = s->action->run->exec->child_watch;
    s->accept_job = NULL;
    if (watch) /* else the process ends */
        child_watch_forget(watch, &j->request.execution_id);
    return 0;
}

static void take_child_job(struct action *a, struct child_job *j)
{
    struct child_action *s = talloc_zero(a, struct child_action);
    s->action = a;
    s->accept_job = j;
    a->state = s;
    j->job = (struct job){.kind = JOB_ACCEPT_CHILD, .done = on_child_accepted, .arg = s};
    talloc_set_destructor(j, forget_accept_job);
    child_watch_expect(a->run->exec->child_watch, &j->request.execution_id);
}

static void start_child_action(struct action *a)
{
    struct child_job *j;
    struct action_failure failure;
    if (new_child_job(a, &j, &failure) != OK) {
        a->state = NULL;
        action_fail(a, &failure);
        return;
    }
    /* it may be over already: a time-out stops the child, which has to be found first */
    if (a->resumed)
        action_suspend_timeout(a);
    take_child_job(a, j);
    db_thread_submit(a->run->exec->db_thread, &j->job);
}

/* An error is left to start_child_action: nothing fails before its row is written. */
static bool start_child_with_row(struct action *a, struct commit *c)
{
    struct child_job *j;
    struct action_failure failure;
    if (new_child_job(a, &j, &failure) != OK)
        return false;
    take_child_job(a, j);
    commit_add_child(c, j);
    return true;
}

/* --- the end of the action --- */

static void cancel_child_action(struct action *a)
{
    struct child_action *s = a->state;
    struct active_run *run = a->run;
    if (!s)
        return;
    if (s->accept_job) {
        child_watch_forget(run->exec->child_watch, &s->accept_job->request.execution_id);
        s->accept_job->job.arg = NULL;
        s->accept_job->unwanted_by = run->ending ? NULL : run->exec;
        if (a->awaited_commit && a->awaited_commit == run->pending) { /* not submitted: it is not to start */
            commit_remove_child(run->pending, s->accept_job);
            talloc_free(s->accept_job);
        }
    }
    if (id_is_set(&s->child) && !s->ended)
        child_watch_forget(run->exec->child_watch, &s->child);
    /* the end of this run stops the child, unless stop_child does before */
    if (!s->ended)
        run->may_have_children = true;
    if (!s->ended && id_is_set(&s->child) && !run->ending)
        stop_child(run->exec, &run->row.workspace_id, &s->child);
    TALLOC_FREE(a->state);
}

static const id *awaited_child(const struct action *a)
{
    const struct child_action *s = a->state;
    return s && !s->accept_job && id_is_set(&s->child) && !s->ended ? &s->child : NULL;
}

const struct step_kind step_workflow = {.start = start_child_action,
                                        .start_with_row = start_child_with_row,
                                        .cancel = cancel_child_action,
                                        .awaited_child = awaited_child};
const struct step_kind step_skill = {.start = start_child_action,
                                     .start_with_row = start_child_with_row,
                                     .cancel = cancel_child_action,
                                     .awaited_child = awaited_child};
