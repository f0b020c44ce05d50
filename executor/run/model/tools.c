#include "executor/run/model/tools.h"

#include <string.h>
#include <talloc.h>

#include "executor/db_thread/accept_children.h"
#include "executor/run/child_watch.h"

struct tool_call_run {
    struct tool_calls *all;
    /* place in the answer */
    int call_index;
    /* borrowed from the answer */
    json_object *call;
    /* its `arg` is cleared if the run is freed first */
    struct child_job *accept_job;
    /* set: accepted */
    id child;
    bool done;
    /* the tool's result, as it is sent to the model */
    char *result;
};

struct tool_calls {
    struct active_run *run;
    struct tool_calls_owner owner;
    int round;
    struct tool_call_run *list;
    size_t n;
};

struct tool_calls *tool_calls_new(void *ctx, struct active_run *run, json_object *calls, int round,
                                  const struct tool_calls_owner *owner)
{
    struct tool_calls *t = talloc_zero(ctx, struct tool_calls);
    t->run = run;
    t->owner = *owner;
    t->round = round;
    t->n = json_object_array_length(calls);
    t->list = talloc_zero_array(t, struct tool_call_run, t->n);
    for (size_t i = 0; i < t->n; i++)
        t->list[i] = (struct tool_call_run){
            .all = t, .call_index = (int)i, .call = json_object_array_get_idx(calls, i)};
    return t;
}

/* --- results --- */

static void call_owner_when_done(struct tool_calls *t)
{
    for (size_t i = 0; i < t->n; i++) {
        if (!t->list[i].done)
            return;
    }
    t->owner.on_done(t->owner.arg);
}

static void set_tool_result(struct tool_call_run *u, const char *result)
{
    u->done = true;
    u->result = talloc_strdup(u->all, result);
}

static void on_tool_ended(void *arg, const struct child_end *end)
{
    struct tool_call_run *u = arg;
    if (end->state == STATE_SUCCEEDED)
        set_tool_result(u, end->output ? end->output : "null");
    else
        set_tool_result(
            u, talloc_asprintf(u->all, "error: %s", end->error ? end->error : state_name(end->state)));
    call_owner_when_done(u->all);
}

void tool_calls_add_results(const struct tool_calls *t, struct conversation *c)
{
    for (size_t i = 0; i < t->n; i++)
        conversation_add_tool_result(c, json_get(t->list[i].call, "id"), t->list[i].result);
}

/* --- children --- */

static void on_tool_accepted(struct job *job)
{
    struct child_job *j = (struct child_job *)job;
    struct tool_call_run *u = job->arg;
    enum run_verdict verdict = j->answer.verdict;
    if (!u) {
        talloc_free(j);
        return;
    }
    struct tool_calls *t = u->all;
    u->accept_job = NULL;
    bool accepted = verdict == RUN_ACCEPTED || verdict == RUN_CHILD_EXISTS;
    if (!accepted || !id_equal(&j->answer.execution_id, &j->request.execution_id))
        child_watch_forget(t->run->exec->child_watch, &j->request.execution_id);
    if (accepted) {
        u->child = j->answer.execution_id;
        t->run->may_have_children = true; /* the end of this run stops the child, too */
        child_watch_add(t->run->exec->child_watch, &u->child, on_tool_ended, u);
        run_flush(t->run);
    } else if (verdict == RUN_INSUFFICIENT_CREDITS) {
        t->owner.on_rejected(t->owner.arg, REASON_INSUFFICIENT_CREDITS, j->why);
    } else if (verdict == RUN_BUDGET_EXCEEDED) {
        t->owner.on_rejected(t->owner.arg, REASON_BUDGET_EXCEEDED, j->why);
    } else {
        set_tool_result(u, talloc_asprintf(t, "error: %s", j->why));
        call_owner_when_done(t);
    }
    talloc_free(j);
}

static void start_tool_child(struct tool_call_run *u, const char *slug, const char *arguments, bool resumed)
{
    const struct active_run *run = u->all->run;
    struct child_job *j = talloc_zero(NULL, struct child_job);
    struct run_request *request = &j->request;
    j->slug = talloc_strdup(j, slug);
    j->resumed = resumed;
    request->execution_id = id_new();
    request->workspace_id = run->row.workspace_id;
    request->principal_id = run->principal_id;
    request->key_id = run->row.key_id;
    request->kind = KIND_SKILL;
    request->source = SOURCE_SKILL;
    request->price = -1;
    request->parent.id = run->row.id;
    request->parent.root_id = run->row.root_id;
    request->parent.attempt = run->row.attempt;
    request->parent.step = u->all->round;
    request->parent.item = u->call_index;
    request->parent.try = 1;
    request->parent.depth = run->row.depth;
    request->parent.deadline_ms = run->row.deadline_ms;
    const struct trace_key key = {.span = TRACE_SPAN_RUN};
    run_trace_child(&run->trace, key, j, &request->trace, &request->trace_state);
    request->parent.started = span_text(talloc_asprintf(j, "{\"execution_id\":\"%s\",\"step_index\":%d}",
                                                        request->execution_id.text, request->parent.step));
    request->parent.is_first = run->row.attempt == 0;
    request->input = span_text(talloc_strdup(j, arguments));
    request->first_response.status = 201;
    j->job = (struct job){.kind = JOB_ACCEPT_CHILD, .done = on_tool_accepted, .arg = u};
    u->accept_job = j;
    child_watch_expect(run->exec->child_watch, &request->execution_id);
    db_thread_submit(run->exec->db_thread, &j->job);
}

/* A text that contains no NUL; NULL otherwise: the part before a NUL could be another name. */
static const char *whole_text(json_object *object, const char *name)
{
    const char *text = json_get_text(object, name);
    return text && strlen(text) == (size_t)json_object_get_string_len(json_get(object, name)) ? text : NULL;
}

static bool is_tool(const struct manifest *const *tools, size_t tools_n, const char *name)
{
    for (size_t i = 0; name && i < tools_n; i++) {
        if (strcmp(tools[i]->slug, name) == 0)
            return true;
    }
    return false;
}

/* "" if there are none that can be used. */
static const char *arguments_text(json_object *call)
{
    const char *text = whole_text(json_get(call, "function"), "arguments");
    return !text ? "" : *text ? text : "{}";
}

size_t tool_calls_argument_bytes(json_object *calls)
{
    size_t bytes = 0;
    for (size_t i = 0; i < json_object_array_length(calls); i++)
        bytes += strlen(arguments_text(json_object_array_get_idx(calls, i)));
    return bytes;
}

bool *tool_calls_check(void *ctx, json_object *calls)
{
    size_t n = json_object_array_length(calls);
    bool *ok = talloc_zero_array(ctx, bool, n);
    for (size_t i = 0; i < n; i++) {
        void *scratch = talloc_new(ctx);
        const char *text = arguments_text(json_object_array_get_idx(calls, i)), *why;
        json_object *arguments;
        ok[i] = json_parse(scratch, text, strlen(text), JSON_DEPTH_MAX, &arguments, &why) == OK &&
                json_object_is_type(arguments, json_type_object);
        talloc_free(scratch);
    }
    return ok;
}

void tool_calls_start(struct tool_calls *t, const struct manifest *const *tools, size_t tools_n,
                      const bool *arguments_ok, bool resumed)
{
    for (size_t i = 0; i < t->n; i++) {
        struct tool_call_run *u = &t->list[i];
        const char *name = whole_text(json_get(u->call, "function"), "name"), *text = arguments_text(u->call);
        if (!is_tool(tools, tools_n, name))
            set_tool_result(u, "error: unknown tool");
        else if (!arguments_ok[i])
            set_tool_result(u, "error: the arguments are not a single JSON object");
        else
            start_tool_child(u, name, text, resumed);
    }
    call_owner_when_done(t);
}

void tool_calls_cancel(struct tool_calls *t)
{
    for (size_t i = 0; i < t->n; i++) {
        struct tool_call_run *u = &t->list[i];
        if (u->accept_job) {
            child_watch_forget(t->run->exec->child_watch, &u->accept_job->request.execution_id);
            u->accept_job->job.arg = NULL;
        }
        u->accept_job = NULL;
        if (id_is_set(&u->child) && !u->done)
            child_watch_forget(t->run->exec->child_watch, &u->child);
        u->done = true;
    }
}
