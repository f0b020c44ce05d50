/* `workflow` and `skill`: a child execution, accepted like any other run, found again by (run, step, item,
 * try) when the run is resumed, and waited for without a slot. */
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "executor/db_thread/accept_children.h"
#include "executor/run/child_watch.h"
#include "executor/run/workflow/action.h"
#include "run/stop.h"
#include "store/model.h"

struct child_state {
    struct act *act;
    struct child_job *asking; /* its `arg` is cleared where the act goes first */
    id child;                 /* set: accepted */
    bool ended;
    struct child_end end;
};

/* --- its end --- */

static json_object *result_of(void *ctx, const struct child_state *s)
{
    json_object *result = json_own(ctx, json_object_new_object());
    json_object *outputs = NULL;
    const char *why;
    const char *text = s->end.output;
    json_object_object_add(result, "execution_id", json_object_new_string(s->child.text));
    if (text && json_parse(ctx, text, strlen(text), TEMPLATE_DEPTH_MAX + 1, &outputs, &why) == OK)
        json_object_get(outputs);
    json_object_object_add(result, "outputs", outputs);
    return result;
}

static void go_on(struct act *a)
{
    struct child_state *s = a->state;
    void *scratch = talloc_new(NULL);
    if (s->end.state == STATE_SUCCEEDED) {
        act_succeed(a, result_of(scratch, s));
    } else {
        const char *error = s->end.error ? s->end.error : "";
        struct act_failure failure = {
            .error = talloc_asprintf(scratch, "execution %s %s%s%s", s->child.text, state_name(s->end.state),
                                     *error ? ": " : "", error),
            .retry = s->end.reason == REASON_TIMEOUT || s->end.reason == REASON_EXECUTOR_LOST};
        act_fail(a, &failure);
    }
    talloc_free(scratch);
}

static void on_ended(void *arg, const struct child_end *end)
{
    struct child_state *s = arg;
    s->ended = true;
    s->end = *end;
    s->end.output = end->output ? talloc_strdup(s, end->output) : NULL;
    s->end.error = end->error ? talloc_strdup(s, end->error) : NULL;
    act_wake(s->act, go_on);
}

/* --- its beginning --- */

static void tell_started(struct act *a, const id *child)
{
    char data[256];
    snprintf(data, sizeof data, "{\"execution_id\":\"%s\",\"step_index\":%zu,\"step\":\"%s\"}", child->text,
             a->step->index, a->step->name);
    commit_event(flow_open(a->flow), EVENT_CHILD_STARTED, clock_wall_ms(), data);
}

static void on_accepted(struct job *job)
{
    struct child_job *j = (struct child_job *)job;
    struct child_state *s = job->arg;
    enum run_verdict verdict = j->answer.verdict;
    if (!s) { /* the act has gone meanwhile; the end of the run stops what was started */
        talloc_free(j);
        return;
    }
    struct act *a = s->act;
    s->asking = NULL;
    if (verdict == RUN_ACCEPTED || verdict == RUN_CHILD_EXISTS) {
        s->child = j->answer.execution_id;
        if (verdict == RUN_ACCEPTED)
            tell_started(a, &s->child);
        child_watch_add(a->flow->x->children, &s->child, on_ended, s);
        act_wait(a);
        flow_submit(a->flow);
    } else {
        struct act_failure failure = {
            .error = j->why,
            .reason = verdict == RUN_INSUFFICIENT_CREDITS ? REASON_INSUFFICIENT_CREDITS : REASON_NONE};
        act_fail(a, &failure);
    }
    talloc_free(j);
}

static void describe(struct child_job *j, const struct act *a, json_object *inputs)
{
    const struct flow *f = a->flow;
    struct run_request *q = &j->request;
    size_t size;
    const char *text = json_text(inputs, &size);
    q->execution_id = id_new();
    q->workspace_id = f->run.workspace_id;
    q->principal_id = f->principal_id;
    q->key_id = f->run.key_id;
    if (a->step->type == STEP_WORKFLOW)
        (void)id_parse(a->step->workflow_id, strlen(a->step->workflow_id), &q->responder_id);
    else
        j->slug = talloc_strdup(j, a->step->slug);
    q->kind = a->step->type == STEP_WORKFLOW ? KIND_WORKFLOW : KIND_SKILL;
    q->source = SOURCE_WORKFLOW;
    q->price = -1;
    q->parent.id = f->run.id;
    q->parent.root_id = f->run.root_id;
    q->parent.attempt = f->run.attempt;
    q->parent.step = (int)a->step->index;
    q->parent.item = a->item;
    q->parent.try = a->tries;
    q->parent.depth = f->run.depth;
    q->parent.deadline_ms = f->run.deadline_ms;
    q->input = (struct span){.at = talloc_strndup(j, text, size), .size = size};
    q->status = a->step->type == STEP_WORKFLOW ? 202 : 201;
}

/* The names that a template gave: an array of strings. */
static enum err read_files(struct child_job *j, json_object *list, const char **why_r)
{
    *why_r = "file_source_ids must be an array of strings";
    if (!json_object_is_type(list, json_type_array))
        return ERR_INVALID;
    size_t n = json_object_array_length(list);
    const char **names = talloc_array(j, const char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        json_object *name = json_object_array_get_idx(list, i);
        if (!json_object_is_type(name, json_type_string))
            return ERR_INVALID;
        names[i] = talloc_strdup(names, json_object_get_string(name));
    }
    j->extra.file_source_ids = names;
    j->extra.file_source_ids_n = n;
    return OK;
}

static enum err render_skill(struct child_job *j, const struct act *a, const struct template_scope *scope,
                             const char **why_r)
{
    const struct program_step *step = a->step;
    json_object *files;
    char *model = NULL;
    size_t size;
    enum err e = OK;
    if (step->model)
        e = template_render_text(j, step->model, scope, MODEL_ALIAS_MAX + 1, &model, &size, why_r);
    j->extra.model = model;
    if (e == OK && step->file_source_ids) {
        e = template_render(j, step->file_source_ids, scope, PROGRAM_RESULT_MAX, &files, why_r);
        if (e == OK)
            e = read_files(j, files, why_r);
    }
    return e;
}

static void start(struct act *a)
{
    struct template_scope scope = act_scope(a);
    struct child_job *j = talloc_zero(NULL, struct child_job);
    json_object *inputs;
    const char *why = NULL;
    enum err e = program_child_inputs(j, a->step, &scope, &inputs, &why);
    if (e == OK && a->step->type == STEP_SKILL)
        e = render_skill(j, a, &scope, &why);
    if (e != OK) {
        struct act_failure failure = {.error = why ? why : "the inputs cannot be made"};
        a->state = NULL;
        act_fail(a, &failure);
        talloc_free(j);
        return;
    }
    struct child_state *s = talloc_zero(a, struct child_state);
    s->act = a;
    s->asking = j;
    a->state = s;
    describe(j, a, inputs);
    j->resumed = a->resumed;
    j->job = (struct job){.kind = JOB_CHILD, .done = on_accepted, .arg = s};
    writer_submit(a->flow->x->writer, &j->job);
}

/* --- when nobody waits for it any more --- */

struct stop_job {
    struct job job;
    struct stop_request request;
};

static void stop(struct job *job, struct writer_hands *hands)
{
    struct stop_job *j = (struct stop_job *)job;
    struct run_answer answer;
    (void)stop_run(hands->db, hands->redis, j, &j->request, &answer);
}

static void on_stopped(struct job *job)
{
    talloc_free(job);
}

/* A try that has timed out, or an item of a loop that has failed elsewhere: the run goes on without it. */
static void stop_child(struct executor *x, const id *workspace, const id *child)
{
    struct stop_job *j = talloc_zero(NULL, struct stop_job);
    j->job = (struct job){.kind = JOB_CALL, .work = stop, .done = on_stopped};
    j->request = (struct stop_request){.workspace_id = *workspace,
                                       .execution_id = *child,
                                       .error = "the run that started it went on without it"};
    writer_submit(x->writer, &j->job);
}

static void cancel(struct act *a)
{
    struct child_state *s = a->state;
    struct flow *f = a->flow;
    if (!s)
        return;
    if (s->asking)
        s->asking->job.arg = NULL;
    if (id_is_set(&s->child) && !s->ended)
        child_watch_forget(f->x->children, &s->child);
    if (!s->ended)
        f->tree = true; /* the end of this run stops it, if nothing does before */
    if (!s->ended && id_is_set(&s->child) && !f->ending)
        stop_child(f->x, &f->run.workspace_id, &s->child);
    TALLOC_FREE(a->state);
}

const struct step_kind step_workflow = {.start = start, .cancel = cancel};
const struct step_kind step_skill = {.start = start, .cancel = cancel};
