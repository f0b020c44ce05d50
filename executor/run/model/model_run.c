/* Runs of skills that call a model. The conversation goes round: the model is asked; where it calls tools,
 * which are other skills of the space, each call is a child execution, and its answer goes back; where it
 * does not, its words are the outputs. Each answer of the model is a row of the run's steps, written before
 * anything is done about it: a run that is taken over goes on with the conversation as it was, and finds the
 * children that it had started by (run, round, place of the call). */
#include "executor/run/model/model_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/log.h"
#include "executor/db_thread/accept_children.h"
#include "executor/io/http_client.h"
#include "executor/run/child_watch.h"
#include "executor/run/claim_copy.h"
#include "executor/run/model/chat_stream.h"
#include "executor/run/run_events.h"
#include "secret/redact.h"
#include "store/model.h"

enum {
    ATTEMPTS_MAX = 4, /* of one question */
    BACKOFF_MS = 1000,
    BACKOFF_MAX_MS = 60000,
    LOG_INTERVAL_MS = 250,
    PROMPT_MAX = 1024 * 1024,
    ERROR_MAX = 500,
};

/* One call of a tool, in the answer at hand. */
struct tool_use {
    struct model_run *model_run;
    int call_index;
    json_object *call; /* borrowed from the answer */
    struct child_job *accept_job;
    id child; /* set: accepted */
    bool done;
    char *result; /* what the model is told */
};

struct tool {
    struct cached_skill *skill;
};

/* The state of a model's run. */
struct model_run {
    struct active_run *run;
    struct cached_skill *cached_skill; /* a reference */
    const struct manifest *manifest;
    json_object *inputs;
    const char *extra;                      /* JSON as skill_extra_json wrote it, or NULL */
    const struct stored_step *stored_steps; /* what earlier attempts have left */
    size_t stored_steps_n;
    struct job *loading; /* its `arg` is cleared where the run goes first */
    struct model model;
    struct redactor *redactor;
    struct tool *tools;
    size_t tools_n;
    json_object *messages;
    int round, tries;
    struct http_call *call;
    struct chat_stream *stream;
    struct chat_completion answer;
    int64_t last_log_ms;
    struct tool_use *tool_uses;
    size_t tool_uses_n;
    const struct commit
        *awaited_commit; /* the row of the answer at hand must be written before its tools are called */
    bool ready_to_ask;   /* to ask, as soon as there is a slot */
    struct timer backoff;
    struct usage usage;
    int64_t began_ms;
};

static void request_completion(struct model_run *m);
static void model_resume(struct active_run *run);
static void run_tool_calls(struct model_run *m, bool resumed);

/* --- ends --- */

static void set_model_usage(struct model_run *m)
{
    m->usage.has_wallclock = true;
    m->usage.wallclock_ms = clock_boot_ms() - m->began_ms;
    m->usage.cost = model_cost(&m->model, m->usage.input_tokens, m->usage.output_tokens);
    run_record_usage(run_pending_commit(m->run), &m->usage);
}

static void fail_model_run(struct model_run *m, enum failure_reason reason, const char *error)
{
    char *sentence = talloc_strndup(m, error, ERROR_MAX);
    size_t size;
    if (m->usage.iterations == 0 && m->tries == 0)
        run_note_nothing_started(m->run);
    run_fail(m->run, reason, redact_text(m, m->redactor, sentence, strlen(sentence), &size));
}

/* --- outputs --- */

/* The JSON in an answer: all of it, or what stands between fences. */
static json_object *find_json(void *ctx, const char *text)
{
    json_object *value;
    const char *why;
    if (json_parse(ctx, text, strlen(text), JSON_DEPTH_MAX, &value, &why) == OK)
        return value;
    const char *fence = strstr(text, "```");
    const char *from = fence ? strchr(fence, '\n') : NULL;
    const char *to = from ? strstr(from, "```") : NULL;
    if (to && json_parse(ctx, from, (size_t)(to - from), JSON_DEPTH_MAX, &value, &why) == OK)
        return value;
    return NULL;
}

/* Plain words are the outputs of a skill that has one text to give; what was to be JSON is not words. */
static json_object *wrap_text(void *ctx, const struct manifest *manifest, const char *text)
{
    json_object *properties = json_get(manifest->outputs_document, "properties");
    const char *first = text + strspn(text, " \t\r\n");
    if (*first == '{' || *first == '[' || strncmp(first, "```", 3) == 0 ||
        !json_object_is_type(properties, json_type_object) || json_object_object_length(properties) != 1)
        return NULL;
    json_object *outputs = json_own(ctx, json_object_new_object());
    json_object_object_foreach(properties, name, schema)
    {
        const char *type = json_get_text(schema, "type");
        if (!type || strcmp(type, "string") != 0)
            return NULL;
        json_object_object_add(outputs, name, json_object_new_string(text));
    }
    return outputs;
}

static void finish_model_run(struct model_run *m)
{
    struct schema_problems wrong = {0};
    json_object *outputs = find_json(m, m->answer.content);
    if (!json_object_is_type(outputs, json_type_object) && !m->answer.was_cut)
        outputs = wrap_text(m, m->manifest, m->answer.content);
    if (!json_object_is_type(outputs, json_type_object)) {
        fail_model_run(m, REASON_OUTPUTS_INVALID,
                       m->answer.was_cut ? "the model's answer was cut at max_tokens"
                                         : "the model's answer is not one JSON object");
    } else if (schema_validate(m, m->manifest->outputs, outputs, &wrong) != OK) {
        fail_model_run(m, REASON_OUTPUTS_INVALID,
                       talloc_asprintf(m, "the outputs are not what the manifest says: %s %s",
                                       wrong.count ? wrong.items[0].pointer : "",
                                       wrong.count ? wrong.items[0].message : ""));
    } else {
        set_model_usage(m);
        run_succeed(m->run, json_text(outputs, NULL));
    }
}

/* --- the conversation --- */

static void add_message(struct model_run *m, const char *role, const char *content)
{
    json_object *o = json_object_new_object();
    json_object_object_add(o, "role", json_object_new_string(role));
    json_object_object_add(o, "content", json_object_new_string(content));
    json_object_array_add(m->messages, o);
}

static bool begin_conversation(struct model_run *m)
{
    struct template_scope scope = {.inputs = m->inputs};
    const char *why = "the prompt cannot be made";
    char *system = NULL, *prompt = NULL;
    size_t size;
    enum err e = OK;
    m->messages = json_own(m, json_object_new_array());
    if (m->manifest->system)
        e = template_render_text(m, m->manifest->system, &scope, PROMPT_MAX, &system, &size, &why);
    if (e == OK)
        e = template_render_text(m, m->manifest->prompt, &scope, PROMPT_MAX, &prompt, &size, &why);
    if (e != OK) {
        fail_model_run(m, REASON_STEP_FAILED, why);
        return false;
    }
    system = talloc_asprintf(m, "%s%sAnswer with one JSON object that meets this JSON Schema:\n%s",
                             system ? system : "", system ? "\n\n" : "",
                             json_text(m->manifest->outputs_document, NULL));
    add_message(m, "system", system);
    add_message(m, "user", prompt);
    return true;
}

static json_object *describe_tools(const struct model_run *m)
{
    json_object *list = json_object_new_array();
    for (size_t i = 0; i < m->tools_n; i++) {
        const struct manifest *tool = cached_skill_manifest(m->tools[i].skill);
        json_object *o = json_object_new_object(), *function = json_object_new_object();
        json_object_object_add(o, "type", json_object_new_string("function"));
        json_object_object_add(function, "name", json_object_new_string(tool->slug));
        json_object_object_add(function, "description", json_object_new_string(tool->description));
        json_object_object_add(function, "parameters", json_object_get(tool->inputs_document));
        json_object_object_add(o, "function", function);
        json_object_array_add(list, o);
    }
    return list;
}

static json_object *completion_body(const struct model_run *m)
{
    json_object *o = json_object_new_object(), *options = json_object_new_object();
    json_object_object_add(o, "model", json_object_new_string(m->model.model));
    json_object_object_add(o, "messages", json_object_get(m->messages));
    json_object_object_add(o, "stream", json_object_new_boolean(true));
    json_object_object_add(options, "include_usage", json_object_new_boolean(true));
    json_object_object_add(o, "stream_options", options);
    if (m->manifest->max_tokens > 0)
        json_object_object_add(o, "max_tokens", json_object_new_int64(m->manifest->max_tokens));
    if (m->manifest->temperature)
        json_object_object_add(o, "temperature", json_object_get(m->manifest->temperature));
    if (m->tools_n > 0)
        json_object_object_add(o, "tools", describe_tools(m));
    return o;
}

/* What a later attempt goes on from. */
static void put_answer_row(struct model_run *m)
{
    json_object *row = json_object_new_object();
    json_object_object_add(row, "message", json_object_get(m->answer.message));
    json_object_object_add(row, "input_tokens", json_object_new_int64(m->answer.input_tokens));
    json_object_object_add(row, "output_tokens", json_object_new_int64(m->answer.output_tokens));
    struct run_step step = {.step = m->round,
                            .item = -1,
                            .status = STEP_STATUS_COMPLETED,
                            .tries = m->tries,
                            .started_ms = clock_wall_ms(),
                            .completed_ms = clock_wall_ms(),
                            .result = json_text(row, NULL)};
    commit_put_step(run_pending_commit(m->run), &step);
    json_object_put(row);
}

/* What is done about an answer: tools, or the end. */
static void handle_answer(struct model_run *m, bool resumed)
{
    json_object_array_add(m->messages, json_object_get(m->answer.message));
    m->usage.iterations++;
    m->usage.input_tokens += m->answer.input_tokens;
    m->usage.output_tokens += m->answer.output_tokens;
    if (json_object_array_length(m->answer.calls) == 0)
        finish_model_run(m);
    else if (m->round + 1 >= m->manifest->max_iterations)
        fail_model_run(m, REASON_MODEL_ERROR,
                       "the model wanted more rounds than the skill allows (max_iterations)");
    else
        run_tool_calls(m, resumed);
}

/* --- asking --- */

static void log_new_content(struct model_run *m, bool all)
{
    int64_t now_ms = clock_boot_ms();
    if (!all && now_ms - m->last_log_ms < LOG_INTERVAL_MS)
        return;
    const char *new_content = chat_stream_new_content(m->stream);
    m->last_log_ms = now_ms;
    if (*new_content)
        run_add_log_event(m->run, new_content);
}

static bool on_model_bytes(void *arg, const char *bytes, size_t size)
{
    struct model_run *m = arg;
    bool fits = chat_stream_feed(m->stream, bytes, size);
    log_new_content(m, false);
    return fits;
}

static void on_model_backoff(void *arg)
{
    struct model_run *m = arg;
    m->ready_to_ask = true;
    model_resume(m->run);
}

static void retry_completion(struct model_run *m, int64_t retry_after_ms)
{
    int64_t ms = (int64_t)BACKOFF_MS << (m->tries - 1);
    ms += ms * (rand() % 41 - 20) / 100;
    if (ms < retry_after_ms)
        ms = retry_after_ms;
    if (ms > BACKOFF_MAX_MS)
        ms = BACKOFF_MAX_MS;
    timer_set(m->run->exec->timers, &m->backoff, clock_boot_ms() + ms);
    run_flush(m->run);
}

/* The API's own sentence, where its answer has one. */
static const char *api_error(void *ctx, const struct http_response *a)
{
    json_object *o;
    const char *why;
    if (json_parse(ctx, a->body, a->body_size, JSON_DEPTH_MAX, &o, &why) != OK)
        return "";
    const char *text = json_get_text(json_get(o, "error"), "message");
    return text ? text : json_get_text(o, "message") ? json_get_text(o, "message") : "";
}

static void on_model_response(void *arg, const struct http_response *a)
{
    struct model_run *m = arg;
    const char *why = NULL;
    m->call = NULL;
    bool ok = !a->error && a->status >= 200 && a->status < 300;
    if (ok && chat_stream_finish(m->stream, &m->answer, &why) == OK) {
        log_new_content(m, true);
        put_answer_row(m);
        if (json_object_array_length(m->answer.calls) == 0) {
            handle_answer(m, false);
        } else {
            m->awaited_commit = m->run->pending;
            run_flush(m->run);
        }
        return;
    }
    bool again = a->error ? a->retry : ok || a->status == 408 || a->status == 429 || a->status >= 500;
    if (again && m->tries < ATTEMPTS_MAX) {
        retry_completion(m, a->error ? 0 : http_retry_after_ms(a));
        return;
    }
    const char *sentence = a->error ? a->error
                           : why    ? why
                                    : talloc_asprintf(m, "answered %d %s", a->status, api_error(m, a));
    fail_model_run(m, REASON_MODEL_ERROR, talloc_asprintf(m, "the model's API: %s", sentence));
}

/* W3C Trace Context: the trace is the execution, the span one call. */
static const char *trace_parent(struct model_run *m)
{
    id span = id_new();
    return talloc_asprintf(m, "00-%s-%.4s%.12s-01", m->usage.trace_id, span.text + 19, span.text + 24);
}

static void request_completion(struct model_run *m)
{
    if (!executor_holds_lease(m->run->exec)) /* the fence is about to fall */
        return;
    json_object *body = completion_body(m);
    size_t size;
    struct http_header headers[] = {
        {"Content-Type", "application/json"},
        {"Accept", "text/event-stream"},
        {"traceparent", trace_parent(m)},
        {"Authorization", m->model.key ? talloc_asprintf(m, "Bearer %s", m->model.key) : ""},
    };
    size_t n = strlen(m->model.url);
    struct http_request request = {
        .method = "POST",
        .url = talloc_asprintf(m, "%s%schat/completions", m->model.url,
                               n > 0 && m->model.url[n - 1] == '/' ? "" : "/"),
        .headers = headers,
        .header_count = m->model.key ? 4 : 3,
        .body = json_text(body, &size),
    };
    request.body_size = size;
    m->tries++;
    m->last_log_ms = clock_boot_ms();
    TALLOC_FREE(m->stream);
    m->stream = chat_stream_new(m);
    m->call = http_send_streamed(m->run->exec->http_client, &request, on_model_bytes, on_model_response, m);
    json_object_put(body);
}

static void model_on_written(struct active_run *run, const struct commit *c)
{
    struct model_run *m = run->state;
    if (m->awaited_commit != c)
        return;
    m->awaited_commit = NULL;
    handle_answer(m, false);
}

static void model_note_usage(struct active_run *run, const char *error)
{
    (void)error; /* it stands with the run; what was used is to be told, too */
    struct model_run *m = run->state;
    if (m->began_ms)
        set_model_usage(m);
}

static void model_resume(struct active_run *run)
{
    struct model_run *m = run->state;
    if (run->ending || !m->ready_to_ask)
        return;
    if (run->exec->stopping) {
        run_release(run);
    } else if (slot_acquire(&run->slot)) {
        m->ready_to_ask = false;
        request_completion(m);
    }
}

/* --- tools --- */

static void continue_after_tools(struct model_run *m)
{
    for (size_t i = 0; i < m->tool_uses_n; i++) {
        if (!m->tool_uses[i].done)
            return;
    }
    for (size_t i = 0; i < m->tool_uses_n; i++) {
        json_object *o = json_object_new_object();
        json_object_object_add(o, "role", json_object_new_string("tool"));
        json_object_object_add(o, "tool_call_id", json_object_get(json_get(m->tool_uses[i].call, "id")));
        json_object_object_add(o, "content", json_object_new_string(m->tool_uses[i].result));
        json_object_array_add(m->messages, o);
    }
    TALLOC_FREE(m->tool_uses);
    m->tool_uses_n = 0;
    m->round++;
    m->tries = 0;
    m->ready_to_ask = true;
    model_resume(m->run);
}

static void set_tool_result(struct tool_use *u, const char *result)
{
    u->done = true;
    u->result = talloc_strdup(u->model_run, result);
}

static void on_tool_ended(void *arg, const struct child_end *end)
{
    struct tool_use *u = arg;
    if (end->state == STATE_SUCCEEDED)
        set_tool_result(u, end->output ? end->output : "null");
    else
        set_tool_result(
            u, talloc_asprintf(u->model_run, "error: %s", end->error ? end->error : state_name(end->state)));
    continue_after_tools(u->model_run);
}

static void on_tool_accepted(struct job *job)
{
    struct child_job *j = (struct child_job *)job;
    struct tool_use *u = job->arg;
    enum run_verdict verdict = j->answer.verdict;
    if (!u) {
        talloc_free(j);
        return;
    }
    struct active_run *run = u->model_run->run;
    u->accept_job = NULL;
    if (verdict == RUN_ACCEPTED || verdict == RUN_CHILD_EXISTS) {
        u->child = j->answer.execution_id;
        run->may_have_children = true; /* whatever ends this run ends it, too */
        if (verdict == RUN_ACCEPTED) {
            char data[160];
            snprintf(data, sizeof data, "{\"execution_id\":\"%s\",\"step_index\":%d}", u->child.text,
                     u->model_run->round);
            commit_add_event(run_pending_commit(run), EVENT_CHILD_STARTED, clock_wall_ms(), data);
        }
        child_watch_add(run->exec->child_watch, &u->child, on_tool_ended, u);
        run_flush(run);
    } else if (verdict == RUN_INSUFFICIENT_CREDITS) {
        fail_model_run(u->model_run, REASON_INSUFFICIENT_CREDITS, j->why);
    } else {
        set_tool_result(u, talloc_asprintf(u->model_run, "error: %s", j->why));
        continue_after_tools(u->model_run);
    }
    talloc_free(j);
}

static bool is_tool(const struct model_run *m, const char *name)
{
    for (size_t i = 0; name && i < m->tools_n; i++) {
        if (strcmp(cached_skill_manifest(m->tools[i].skill)->slug, name) == 0)
            return true;
    }
    return false;
}

static void start_tool_child(struct tool_use *u, const char *slug, const char *arguments, bool resumed)
{
    struct active_run *run = u->model_run->run;
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
    request->parent.step = u->model_run->round;
    request->parent.item = u->call_index;
    request->parent.try = 1;
    request->parent.depth = run->row.depth;
    request->parent.deadline_ms = run->row.deadline_ms;
    request->input = span_text(talloc_strdup(j, arguments));
    request->first_response.status = 201;
    j->job = (struct job){.kind = JOB_ACCEPT_CHILD, .done = on_tool_accepted, .arg = u};
    u->accept_job = j;
    db_thread_submit(run->exec->db_thread, &j->job);
}

static void run_tool_call(struct tool_use *u, bool resumed)
{
    json_object *function = json_get(u->call, "function"), *arguments;
    const char *name = json_get_text(function, "name"), *text = json_get_text(function, "arguments"), *why;
    text = text && *text ? text : "{}";
    if (!is_tool(u->model_run, name))
        set_tool_result(u, "error: there is no such tool");
    else if (json_parse(u->model_run, text, strlen(text), JSON_DEPTH_MAX, &arguments, &why) != OK ||
             !json_object_is_type(arguments, json_type_object))
        set_tool_result(u, "error: the arguments are not one JSON object");
    else
        start_tool_child(u, name, text, resumed);
}

static void run_tool_calls(struct model_run *m, bool resumed)
{
    size_t n = json_object_array_length(m->answer.calls);
    set_model_usage(m);
    m->tool_uses = talloc_zero_array(m, struct tool_use, n);
    m->tool_uses_n = n;
    for (size_t i = 0; i < n; i++) {
        m->tool_uses[i] = (struct tool_use){
            .model_run = m, .call_index = (int)i, .call = json_object_array_get_idx(m->answer.calls, i)};
        run_tool_call(&m->tool_uses[i], resumed);
    }
    continue_after_tools(m); /* where all of them were wrong */
}

/* --- the beginning --- */

struct load_model_job {
    struct job job; /* first */
    id workspace;
    const uint8_t *secret_key;
    const char *alias;
    struct cached_skill *skill; /* a reference */
    struct model model;
    struct tool *tools;
    size_t tools_n;
};

static int load_model_destroy(struct load_model_job *j)
{
    cached_skill_unref(j->skill);
    for (size_t i = 0; i < j->tools_n; i++)
        cached_skill_unref(j->tools[i].skill);
    return 0;
}

static void load_model_work(struct job *job, struct db_thread_ctx *thread_ctx)
{
    struct load_model_job *j = (struct load_model_job *)job;
    const struct manifest *m = cached_skill_manifest(j->skill);
    job->e = j->alias ? model_find(thread_ctx->db, j, j->secret_key, &j->workspace, j->alias, &j->model)
                      : ERR_NOT_FOUND;
    j->tools = talloc_zero_array(j, struct tool, m->tools_n + 1);
    for (size_t i = 0; job->e == OK && i < m->tools_n; i++) {
        enum err e = compiled_skills_find(thread_ctx->skills, thread_ctx->db, &j->workspace, m->tools[i],
                                          &j->tools[j->tools_n].skill);
        if (e == OK)
            j->tools_n++;
        else if (e != ERR_NOT_FOUND && e != ERR_INVALID) /* a tool that is not there is not offered */
            job->e = e;
    }
}

/* The conversation as an earlier attempt left it. False where it ended there. */
static bool replay_round(struct model_run *m, const struct stored_step *row)
{
    json_object *o;
    const char *why;
    if (row->status != STEP_STATUS_COMPLETED || !row->result ||
        json_parse(m, row->result, strlen(row->result), TEMPLATE_DEPTH_MAX, &o, &why) != OK)
        return false;
    json_object *calls = json_get(json_get(o, "message"), "tool_calls");
    const char *content = json_get_text(json_get(o, "message"), "content");
    m->answer = (struct chat_completion){
        .content = content ? content : "",
        .message = json_get(o, "message"),
        .calls = calls ? calls : json_own(m, json_object_new_array()),
        .input_tokens = json_object_get_int64(json_get(o, "input_tokens")),
        .output_tokens = json_object_get_int64(json_get(o, "output_tokens")),
    };
    return true;
}

static const struct stored_step *stored_round(const struct model_run *m, int round)
{
    for (size_t i = 0; i < m->stored_steps_n; i++) {
        if (m->stored_steps[i].step == round && m->stored_steps[i].item == -1)
            return &m->stored_steps[i];
    }
    return NULL;
}

/* Rounds whose answer is known are not asked again. */
static void request_or_replay(struct model_run *m)
{
    const struct stored_step *row = stored_round(m, m->round);
    if (row && replay_round(m, row)) {
        handle_answer(m, true);
        if (!m->run->ending)
            run_flush(m->run);
        return;
    }
    m->ready_to_ask = true;
    model_resume(m->run);
}

static void on_model_loaded(struct job *job)
{
    struct load_model_job *j = (struct load_model_job *)job;
    struct active_run *run = job->arg;
    if (!run || run->ending) {
        talloc_free(j);
        return;
    }
    struct model_run *m = run->state;
    m->loading = NULL;
    talloc_steal(m, j);
    m->model = j->model;
    m->tools = j->tools;
    m->tools_n = j->tools_n;
    struct secret_value key = {m->model.key, m->model.key ? strlen(m->model.key) : 0};
    m->redactor = m->model.key ? redactor_new(m, &key, 1) : NULL;
    if (err_is_transient(job->e))
        run_release(run);
    else if (job->e == ERR_NOT_FOUND)
        fail_model_run(m, REASON_MODEL_ERROR, "the model is none of this space any more");
    else if (job->e != OK || (m->model.has_key && !m->model.key))
        fail_model_run(m, REASON_MODEL_ERROR, "the model's key cannot be opened");
    else if (begin_conversation(m))
        request_or_replay(m);
}

static const char *alias_of(void *ctx, const char *extra_text)
{
    json_object *extra = NULL;
    const char *why;
    if (!extra_text || json_parse(ctx, extra_text, strlen(extra_text), JSON_DEPTH_MAX, &extra, &why) != OK)
        return NULL;
    return json_get_text(extra, "model");
}

static int model_run_destroy(struct model_run *m)
{
    cached_skill_unref(m->cached_skill);
    return 0;
}

static void model_init(struct active_run *run, const struct claimed_run *c)
{
    struct model_run *m = talloc_zero(run, struct model_run);
    run->state = m;
    m->run = run;
    m->cached_skill = cached_skill_ref(c->skill);
    m->manifest = cached_skill_manifest(c->skill);
    m->inputs = claim_json(m, c->input, json_object_new_object());
    m->extra = c->extra ? talloc_strdup(m, c->extra) : NULL;
    m->stored_steps = claim_steps(m, c);
    m->stored_steps_n = c->steps_n;
    m->backoff = (struct timer){.fire = on_model_backoff, .arg = m};
    talloc_set_destructor(m, model_run_destroy);
}

/* A run without a manifest is never of this kind. */
static const char *model_unusable(const struct active_run *run)
{
    (void)run;
    return NULL;
}

static void model_begin(struct active_run *run)
{
    struct model_run *m = run->state;
    struct load_model_job *j = talloc_zero(NULL, struct load_model_job);
    char trace[33];
    size_t n = 0;
    for (const char *p = run->row.id.text; *p; p++) {
        if (*p != '-')
            trace[n++] = *p;
    }
    trace[n] = '\0';
    m->usage.trace_id = talloc_strdup(m, trace);
    m->began_ms = clock_boot_ms();
    j->job = (struct job){.kind = JOB_CALL, .work = load_model_work, .done = on_model_loaded, .arg = run};
    j->workspace = run->row.workspace_id;
    j->secret_key = run->exec->secret_key;
    j->alias = alias_of(j, m->extra);
    j->skill = cached_skill_ref(m->cached_skill);
    talloc_set_destructor(j, load_model_destroy);
    m->loading = &j->job;
    db_thread_submit(run->exec->db_thread, &j->job);
}

/* --- as a kind of flow --- */

static void model_cancel(struct active_run *run)
{
    struct model_run *m = run->state;
    if (m->loading)
        m->loading->arg = NULL;
    m->loading = NULL;
    if (m->call)
        http_cancel(m->call);
    m->call = NULL;
    timer_clear(run->exec->timers, &m->backoff);
    for (size_t i = 0; i < m->tool_uses_n; i++) {
        struct tool_use *u = &m->tool_uses[i];
        if (u->accept_job)
            u->accept_job->job.arg = NULL;
        u->accept_job = NULL;
        if (id_is_set(&u->child) && !u->done)
            child_watch_forget(run->exec->child_watch, &u->child);
        u->done = true;
    }
}

/* A call of a model costs money: it may end. Children go on by themselves, and are found again. */
static bool model_has_inflight_effect(const struct active_run *run)
{
    const struct model_run *m = run->state;
    return m->call;
}

static bool model_can_yield(const struct active_run *run)
{
    const struct model_run *m = run->state;
    return !m->call && !m->loading && !m->ready_to_ask && (m->tool_uses_n > 0 || timer_is_set(&m->backoff));
}

const struct run_kind model_run_kind = {
    .init = model_init,
    .unusable = model_unusable,
    .begin = model_begin,
    .resume = model_resume,
    .on_written = model_on_written,
    .abort_step = model_note_usage,
    .cancel = model_cancel,
    .has_inflight_effect = model_has_inflight_effect,
    .can_yield = model_can_yield,
};
