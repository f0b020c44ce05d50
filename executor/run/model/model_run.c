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
#include "executor/run/model/chat_stream.h"
#include "executor/run/run_events.h"
#include "secret/redact.h"
#include "store/model.h"

enum {
    TRIES = 4, /* of one question */
    BACKOFF_MS = 1000,
    BACKOFF_MAX_MS = 60000,
    NEWS_MS = 250,
    PROMPT_MAX = 1024 * 1024,
    ERROR_MAX = 500,
};

/* One call of a tool, in the answer at hand. */
struct tool_use {
    struct model_run *run;
    int place;
    json_object *call; /* borrowed from the answer */
    struct child_job *asking;
    id child; /* set: accepted */
    bool done;
    char *result; /* what the model is told */
};

struct tool {
    struct cached_skill *skill;
};

struct model_run { /* a talloc context below the flow */
    struct flow *flow;
    const struct manifest *manifest;
    struct job *loading; /* its `arg` is cleared where the run goes first */
    struct model model;
    struct redactor *redactor;
    struct tool *tools;
    size_t tools_n;
    json_object *messages;
    int round, tries;
    struct http_call *call;
    struct model_stream *stream;
    struct model_answer answer;
    int64_t told_ms;
    struct tool_use *uses;
    size_t uses_n;
    const struct commit
        *needs; /* the row of the answer at hand must be written before its tools are called */
    bool ready; /* to ask, as soon as there is a slot */
    struct timer backoff;
    struct usage usage;
    int64_t began_ms;
};

static void ask(struct model_run *m);
static void model_go_on(struct flow *f);
static void use_tools(struct model_run *m, bool resumed);

/* --- ends --- */

static void note_usage(struct model_run *m)
{
    m->usage.has_wallclock = true;
    m->usage.wallclock_ms = clock_boot_ms() - m->began_ms;
    m->usage.cost = model_cost(&m->model, m->usage.input_tokens, m->usage.output_tokens);
    run_note_usage(flow_open(m->flow), &m->usage);
}

static void fail(struct model_run *m, enum failure_reason reason, const char *error)
{
    char *sentence = talloc_strndup(m, error, ERROR_MAX);
    size_t size;
    if (m->usage.iterations == 0 && m->tries == 0)
        flow_open(m->flow)->nothing_started = !m->flow->had_effects;
    flow_fail(m->flow, reason, redact_text(m, m->redactor, sentence, strlen(sentence), &size));
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

static void finish(struct model_run *m)
{
    struct schema_problems wrong = {0};
    json_object *outputs = find_json(m, m->answer.content);
    if (!json_object_is_type(outputs, json_type_object) && !m->answer.was_cut)
        outputs = wrap_text(m, m->manifest, m->answer.content);
    if (!json_object_is_type(outputs, json_type_object)) {
        fail(m, REASON_OUTPUTS_INVALID,
             m->answer.was_cut ? "the model's answer was cut at max_tokens"
                               : "the model's answer is not one JSON object");
    } else if (schema_validate(m, m->manifest->outputs, outputs, &wrong) != OK) {
        fail(m, REASON_OUTPUTS_INVALID,
             talloc_asprintf(m, "the outputs are not what the manifest says: %s %s",
                             wrong.count ? wrong.items[0].pointer : "",
                             wrong.count ? wrong.items[0].message : ""));
    } else {
        note_usage(m);
        flow_succeed(m->flow, json_text(outputs, NULL));
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
    struct template_scope scope = {.inputs = m->flow->inputs};
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
        fail(m, REASON_STEP_FAILED, why);
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
        const struct manifest *tool = skills_manifest(m->tools[i].skill);
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

static json_object *question(const struct model_run *m)
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
static void write_row(struct model_run *m)
{
    json_object *row = json_object_new_object();
    json_object_object_add(row, "message", json_object_get(m->answer.message));
    json_object_object_add(row, "input_tokens", json_object_new_int64(m->answer.input_tokens));
    json_object_object_add(row, "output_tokens", json_object_new_int64(m->answer.output_tokens));
    struct run_step step = {.step = m->round,
                            .item = -1,
                            .status = STEP_COMPLETED,
                            .tries = m->tries,
                            .started_ms = clock_wall_ms(),
                            .completed_ms = clock_wall_ms(),
                            .result = json_text(row, NULL)};
    commit_step(flow_open(m->flow), &step);
    json_object_put(row);
}

/* What is done about an answer: tools, or the end. */
static void go_by(struct model_run *m, bool resumed)
{
    json_object_array_add(m->messages, json_object_get(m->answer.message));
    m->usage.iterations++;
    m->usage.input_tokens += m->answer.input_tokens;
    m->usage.output_tokens += m->answer.output_tokens;
    if (json_object_array_length(m->answer.calls) == 0)
        finish(m);
    else if (m->round + 1 >= m->manifest->max_iterations)
        fail(m, REASON_MODEL_ERROR, "the model wanted more rounds than the skill allows (max_iterations)");
    else
        use_tools(m, resumed);
}

/* --- asking --- */

static void tell_news(struct model_run *m, bool all)
{
    int64_t now_ms = clock_boot_ms();
    if (!all && now_ms - m->told_ms < NEWS_MS)
        return;
    const char *news = model_stream_news(m->stream);
    m->told_ms = now_ms;
    if (*news)
        run_tell_log(m->flow, news);
}

static bool on_bytes(void *arg, const char *bytes, size_t size)
{
    struct model_run *m = arg;
    bool fits = model_stream_feed(m->stream, bytes, size);
    tell_news(m, false);
    return fits;
}

static void on_backoff(void *arg)
{
    struct model_run *m = arg;
    m->ready = true;
    model_go_on(m->flow);
}

static void try_again(struct model_run *m, int64_t retry_after_ms)
{
    int64_t ms = (int64_t)BACKOFF_MS << (m->tries - 1);
    ms += ms * (rand() % 41 - 20) / 100;
    if (ms < retry_after_ms)
        ms = retry_after_ms;
    if (ms > BACKOFF_MAX_MS)
        ms = BACKOFF_MAX_MS;
    timer_set(m->flow->x->timers, &m->backoff, clock_boot_ms() + ms);
    flow_submit(m->flow);
}

/* The API's own sentence, where its answer has one. */
static const char *api_error(void *ctx, const struct http_answer *a)
{
    json_object *o;
    const char *why;
    if (json_parse(ctx, a->body, a->body_size, JSON_DEPTH_MAX, &o, &why) != OK)
        return "";
    const char *text = json_get_text(json_get(o, "error"), "message");
    return text ? text : json_get_text(o, "message") ? json_get_text(o, "message") : "";
}

static void on_answer(void *arg, const struct http_answer *a)
{
    struct model_run *m = arg;
    const char *why = NULL;
    m->call = NULL;
    bool ok = !a->error && a->status >= 200 && a->status < 300;
    if (ok && model_stream_finish(m->stream, &m->answer, &why) == OK) {
        tell_news(m, true);
        write_row(m);
        if (json_object_array_length(m->answer.calls) == 0) {
            go_by(m, false);
        } else {
            m->needs = m->flow->open;
            flow_submit(m->flow);
        }
        return;
    }
    bool again = a->error ? a->retry : ok || a->status == 408 || a->status == 429 || a->status >= 500;
    if (again && m->tries < TRIES) {
        try_again(m, a->error ? 0 : http_retry_after_ms(a));
        return;
    }
    const char *sentence = a->error ? a->error
                           : why    ? why
                                    : talloc_asprintf(m, "answered %d %s", a->status, api_error(m, a));
    fail(m, REASON_MODEL_ERROR, talloc_asprintf(m, "the model's API: %s", sentence));
}

/* W3C Trace Context: the trace is the execution, the span one call. */
static const char *trace_parent(struct model_run *m)
{
    id span = id_new();
    return talloc_asprintf(m, "00-%s-%.4s%.12s-01", m->usage.trace_id, span.text + 19, span.text + 24);
}

static void ask(struct model_run *m)
{
    if (!executor_may_act(m->flow->x)) /* the fence is about to fall */
        return;
    json_object *body = question(m);
    size_t size;
    struct step_header headers[] = {
        {"Content-Type", "application/json"},
        {"Accept", "text/event-stream"},
        {"traceparent", trace_parent(m)},
        {"Authorization", m->model.key ? talloc_asprintf(m, "Bearer %s", m->model.key) : ""},
    };
    size_t n = strlen(m->model.url);
    struct step_request request = {
        .method = "POST",
        .url = talloc_asprintf(m, "%s%schat/completions", m->model.url,
                               n > 0 && m->model.url[n - 1] == '/' ? "" : "/"),
        .headers = headers,
        .header_count = m->model.key ? 4 : 3,
        .body = json_text(body, &size),
    };
    request.body_size = size;
    m->tries++;
    m->told_ms = clock_boot_ms();
    TALLOC_FREE(m->stream);
    m->stream = model_stream_new(m);
    m->call = http_send_streamed(m->flow->x->http, &request, on_bytes, on_answer, m);
    json_object_put(body);
}

static void model_written(struct flow *f, const struct commit *c)
{
    struct model_run *m = f->model;
    if (!m || m->needs != c)
        return;
    m->needs = NULL;
    go_by(m, false);
}

static void model_break_off(struct flow *f, const char *error)
{
    (void)error; /* it stands with the run; what was used is to be told, too */
    if (f->model)
        note_usage(f->model);
}

static void model_go_on(struct flow *f)
{
    struct model_run *m = f->model;
    if (!m || f->ending || !m->ready)
        return;
    if (f->x->stopping) {
        flow_hand_back(f);
    } else if (flow_take_slot(f)) {
        m->ready = false;
        ask(m);
    }
}

/* --- tools --- */

static void tools_done(struct model_run *m)
{
    for (size_t i = 0; i < m->uses_n; i++) {
        if (!m->uses[i].done)
            return;
    }
    for (size_t i = 0; i < m->uses_n; i++) {
        json_object *o = json_object_new_object();
        json_object_object_add(o, "role", json_object_new_string("tool"));
        json_object_object_add(o, "tool_call_id", json_object_get(json_get(m->uses[i].call, "id")));
        json_object_object_add(o, "content", json_object_new_string(m->uses[i].result));
        json_object_array_add(m->messages, o);
    }
    TALLOC_FREE(m->uses);
    m->uses_n = 0;
    m->round++;
    m->tries = 0;
    m->ready = true;
    model_go_on(m->flow);
}

static void answer_tool(struct tool_use *u, const char *result)
{
    u->done = true;
    u->result = talloc_strdup(u->run, result);
}

static void on_child_ended(void *arg, const struct child_end *end)
{
    struct tool_use *u = arg;
    if (end->state == STATE_SUCCEEDED)
        answer_tool(u, end->output ? end->output : "null");
    else
        answer_tool(u,
                    talloc_asprintf(u->run, "error: %s", end->error ? end->error : state_name(end->state)));
    tools_done(u->run);
}

static void on_child(struct job *job)
{
    struct child_job *j = (struct child_job *)job;
    struct tool_use *u = job->arg;
    enum run_verdict verdict = j->answer.verdict;
    if (!u) {
        talloc_free(j);
        return;
    }
    struct flow *f = u->run->flow;
    u->asking = NULL;
    if (verdict == RUN_ACCEPTED || verdict == RUN_CHILD_EXISTS) {
        u->child = j->answer.execution_id;
        f->tree = true; /* whatever ends this run ends it, too */
        if (verdict == RUN_ACCEPTED) {
            char data[160];
            snprintf(data, sizeof data, "{\"execution_id\":\"%s\",\"step_index\":%d}", u->child.text,
                     u->run->round);
            commit_event(flow_open(f), EVENT_CHILD_STARTED, clock_wall_ms(), data);
        }
        child_watch_add(f->x->children, &u->child, on_child_ended, u);
        flow_submit(f);
    } else if (verdict == RUN_INSUFFICIENT_CREDITS) {
        fail(u->run, REASON_INSUFFICIENT_CREDITS, j->why);
    } else {
        answer_tool(u, talloc_asprintf(u->run, "error: %s", j->why));
        tools_done(u->run);
    }
    talloc_free(j);
}

static bool is_tool(const struct model_run *m, const char *name)
{
    for (size_t i = 0; name && i < m->tools_n; i++) {
        if (strcmp(skills_manifest(m->tools[i].skill)->slug, name) == 0)
            return true;
    }
    return false;
}

static void start_child(struct tool_use *u, const char *slug, const char *arguments, bool resumed)
{
    struct flow *f = u->run->flow;
    struct child_job *j = talloc_zero(NULL, struct child_job);
    struct run_request *q = &j->request;
    j->slug = talloc_strdup(j, slug);
    j->resumed = resumed;
    q->execution_id = id_new();
    q->workspace_id = f->run.workspace_id;
    q->principal_id = f->principal_id;
    q->key_id = f->run.key_id;
    q->kind = KIND_SKILL;
    q->source = SOURCE_SKILL;
    q->price = -1;
    q->parent.id = f->run.id;
    q->parent.root_id = f->run.root_id;
    q->parent.attempt = f->run.attempt;
    q->parent.step = u->run->round;
    q->parent.item = u->place;
    q->parent.try = 1;
    q->parent.depth = f->run.depth;
    q->parent.deadline_ms = f->run.deadline_ms;
    q->input = span_text(talloc_strdup(j, arguments));
    q->status = 201;
    j->job = (struct job){.kind = JOB_CHILD, .done = on_child, .arg = u};
    u->asking = j;
    writer_submit(f->x->writer, &j->job);
}

static void use_tool(struct tool_use *u, bool resumed)
{
    json_object *function = json_get(u->call, "function"), *arguments;
    const char *name = json_get_text(function, "name"), *text = json_get_text(function, "arguments"), *why;
    text = text && *text ? text : "{}";
    if (!is_tool(u->run, name))
        answer_tool(u, "error: there is no such tool");
    else if (json_parse(u->run, text, strlen(text), JSON_DEPTH_MAX, &arguments, &why) != OK ||
             !json_object_is_type(arguments, json_type_object))
        answer_tool(u, "error: the arguments are not one JSON object");
    else
        start_child(u, name, text, resumed);
}

static void use_tools(struct model_run *m, bool resumed)
{
    size_t n = json_object_array_length(m->answer.calls);
    note_usage(m);
    m->uses = talloc_zero_array(m, struct tool_use, n);
    m->uses_n = n;
    for (size_t i = 0; i < n; i++) {
        m->uses[i] = (struct tool_use){
            .run = m, .place = (int)i, .call = json_object_array_get_idx(m->answer.calls, i)};
        use_tool(&m->uses[i], resumed);
    }
    tools_done(m); /* where all of them were wrong */
}

/* --- the beginning --- */

struct load_job {
    struct job job; /* first */
    id workspace;
    struct programs *programs;
    const uint8_t *seal;
    const char *alias;
    struct cached_skill *skill; /* a reference */
    struct model model;
    struct tool *tools;
    size_t tools_n;
};

static int load_destroy(struct load_job *j)
{
    skills_unref(j->skill);
    for (size_t i = 0; i < j->tools_n; i++)
        skills_unref(j->tools[i].skill);
    return 0;
}

static void load_work(struct job *job, struct writer_hands *hands)
{
    struct load_job *j = (struct load_job *)job;
    const struct manifest *m = skills_manifest(j->skill);
    job->e = j->alias ? model_find(hands->db, j, j->seal, &j->workspace, j->alias, &j->model) : ERR_NOT_FOUND;
    j->tools = talloc_zero_array(j, struct tool, m->tools_n + 1);
    for (size_t i = 0; job->e == OK && i < m->tools_n; i++) {
        enum err e = skills_find(programs_skills(j->programs), hands->db, &j->workspace, m->tools[i],
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
    if (row->status != STEP_COMPLETED || !row->result ||
        json_parse(m, row->result, strlen(row->result), TEMPLATE_DEPTH_MAX, &o, &why) != OK)
        return false;
    json_object *calls = json_get(json_get(o, "message"), "tool_calls");
    const char *content = json_get_text(json_get(o, "message"), "content");
    m->answer = (struct model_answer){
        .content = content ? content : "",
        .message = json_get(o, "message"),
        .calls = calls ? calls : json_own(m, json_object_new_array()),
        .input_tokens = json_object_get_int64(json_get(o, "input_tokens")),
        .output_tokens = json_object_get_int64(json_get(o, "output_tokens")),
    };
    return true;
}

static const struct stored_step *stored_round(const struct flow *f, int round)
{
    for (size_t i = 0; i < f->stored_n; i++) {
        if (f->stored[i].step == round && f->stored[i].item == -1)
            return &f->stored[i];
    }
    return NULL;
}

/* Rounds whose answer is known are not asked again. */
static void ask_or_replay(struct model_run *m)
{
    const struct stored_step *row = stored_round(m->flow, m->round);
    if (row && replay_round(m, row)) {
        go_by(m, true);
        if (!m->flow->ending)
            flow_submit(m->flow);
        return;
    }
    m->ready = true;
    model_go_on(m->flow);
}

static void on_loaded(struct job *job)
{
    struct load_job *j = (struct load_job *)job;
    struct flow *f = job->arg;
    if (!f || f->ending) {
        talloc_free(j);
        return;
    }
    struct model_run *m = f->model;
    m->loading = NULL;
    talloc_steal(m, j);
    m->model = j->model;
    m->tools = j->tools;
    m->tools_n = j->tools_n;
    struct secret_value key = {m->model.key, m->model.key ? strlen(m->model.key) : 0};
    m->redactor = m->model.key ? redactor_new(m, &key, 1) : NULL;
    if (job->e == ERR_BUSY)
        flow_hand_back(f);
    else if (job->e == ERR_NOT_FOUND)
        fail(m, REASON_MODEL_ERROR, "the model is none of this space any more");
    else if (job->e != OK || (m->model.has_key && !m->model.key))
        fail(m, REASON_MODEL_ERROR, "the model's key cannot be opened");
    else if (begin_conversation(m))
        ask_or_replay(m);
}

static const char *alias_of(void *ctx, const struct flow *f)
{
    json_object *extra = NULL;
    const char *why;
    if (!f->extra || json_parse(ctx, f->extra, strlen(f->extra), JSON_DEPTH_MAX, &extra, &why) != OK)
        return NULL;
    return json_get_text(extra, "model");
}

static void model_begin(struct flow *f)
{
    struct model_run *m = f->model = talloc_zero(f, struct model_run);
    struct load_job *j = talloc_zero(NULL, struct load_job);
    char trace[33];
    size_t n = 0;
    for (const char *p = f->run.id.text; *p; p++) {
        if (*p != '-')
            trace[n++] = *p;
    }
    trace[n] = '\0';
    m->flow = f;
    m->manifest = skills_manifest(f->cached_skill);
    m->usage.trace_id = talloc_strdup(m, trace);
    m->backoff = (struct timer){.fire = on_backoff, .arg = m};
    m->began_ms = clock_boot_ms();
    j->job = (struct job){.kind = JOB_CALL, .work = load_work, .done = on_loaded, .arg = f};
    j->workspace = f->run.workspace_id;
    j->programs = f->x->programs;
    j->seal = f->x->secret_key;
    j->alias = alias_of(j, f);
    j->skill = skills_ref(f->cached_skill);
    talloc_set_destructor(j, load_destroy);
    m->loading = &j->job;
    writer_submit(f->x->writer, &j->job);
}

/* --- as a kind of flow --- */

static void model_drop(struct flow *f)
{
    struct model_run *m = f->model;
    if (!m)
        return;
    if (m->loading)
        m->loading->arg = NULL;
    m->loading = NULL;
    if (m->call)
        http_cancel(m->call);
    m->call = NULL;
    timer_clear(f->x->timers, &m->backoff);
    for (size_t i = 0; i < m->uses_n; i++) {
        struct tool_use *u = &m->uses[i];
        if (u->asking)
            u->asking->job.arg = NULL;
        u->asking = NULL;
        if (id_is_set(&u->child) && !u->done)
            child_watch_forget(f->x->children, &u->child);
        u->done = true;
    }
}

/* A call of a model costs money: it may end. Children go on by themselves, and are found again. */
static bool model_in_the_middle(const struct flow *f)
{
    return f->model && f->model->call;
}

static bool model_may_rest(const struct flow *f)
{
    const struct model_run *m = f->model;
    return m && !m->call && !m->loading && !m->ready && (m->uses_n > 0 || timer_is_set(&m->backoff));
}

static void model_deadline(struct flow *f)
{
    flow_fail(f, REASON_TIMEOUT, "the run took longer than it may");
}

const struct flow_kind model_kind = {
    .begin = model_begin,
    .go_on = model_go_on,
    .written = model_written,
    .break_off = model_break_off,
    .drop = model_drop,
    .in_the_middle = model_in_the_middle,
    .may_rest = model_may_rest,
    .deadline = model_deadline,
};
