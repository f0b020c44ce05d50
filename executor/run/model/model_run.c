#include "executor/run/model/model_run.h"

#include <string.h>
#include <talloc.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/log.h"
#include "executor/db_thread/compile_jobs.h"
#include "executor/io/http_client.h"
#include "executor/run/claim_copy.h"
#include "executor/run/model/api_error.h"
#include "executor/run/model/chat_stream.h"
#include "executor/run/model/conversation.h"
#include "executor/run/model/tools.h"
#include "executor/run/run_events.h"
#include "executor/run/run_job.h"
#include "secret/redact.h"
#include "service/compute_thread.h"
#include "store/model.h"
#include "store/model_options.h"

enum {
    /* requests for one answer */
    ATTEMPTS_MAX = 4,
    /* before the second request; doubled with each further one, +-20 % */
    BACKOFF_MS = 1000,
    BACKOFF_MAX_MS = 60000,
    /* between two log events with content */
    LOG_INTERVAL_MS = 250,
};

/* The state of a model's run. */
struct model_run {
    struct active_run *run;
    /* a reference */
    struct cached_skill *cached_skill;
    const struct manifest *manifest;
    const char *input_text;
    json_object *inputs;
    /* JSON as skill_extra_json wrote it, or NULL */
    const char *extra;
    /* what earlier attempts have left */
    const struct stored_step *stored_steps;
    size_t stored_steps_n;

    /* its `arg` is cleared if the run is freed first */
    struct job *loading;
    struct model model;
    /* of the model; NULL: none */
    json_object *options;
    /* NULL: the model has no key */
    struct redactor *redactor;
    /* the skills that the model may call */
    const struct manifest **tools;
    size_t tools_n;

    struct conversation *conversation;
    /* number of the answer that is asked for or handled, from 0 */
    int round;
    /* wall time of the last request */
    int64_t asked_ms;
    /* requests for it, and the tokens that they have used together */
    int tries;
    int64_t round_input_tokens, round_output_tokens, round_cached_tokens;
    struct http_call *call;
    /* has come, and waits for a slot to be looked at; owned */
    const struct http_response *response;
    struct chat_stream *stream;
    bool stream_is_counted;
    struct chat_completion answer;
    /* what was computed of the answer: its outputs, if it calls no tools, or by its calls whether their
     * arguments are an object; of `judged` */
    void *judged;
    enum answer_verdict verdict;
    json_object *outputs;
    const char *outputs_why;
    bool *arguments_ok;
    /* an earlier attempt has received the answer */
    bool answer_resumed;
    /* CLOCK_BOOTTIME: content was last written as a log event */
    int64_t last_log_ms;
    /* the row of the answer, which must be written before its tools are called */
    const struct commit *awaited_commit;
    /* the row of the round says that its answer is still asked for */
    bool round_is_open;
    /* NULL: none is in progress */
    struct tool_calls *tool_calls;
    /* send the next request as soon as there is a slot */
    bool ready_to_ask;
    struct timer backoff;

    struct usage usage;
    /* CLOCK_BOOTTIME; 0: not begun */
    int64_t began_ms;
};

static void model_resume(struct active_run *run);
static void request_or_replay(struct model_run *m);

/* --- ends --- */

/* Adds the tokens that the present response has reported, whatever became of it: the provider bills them. */
static void count_response_tokens(struct model_run *m)
{
    int64_t input, output;
    if (!m->stream || m->stream_is_counted)
        return;
    chat_stream_usage(m->stream, &input, &output);
    m->stream_is_counted = true;
    m->round_input_tokens += input;
    m->round_output_tokens += output;
    m->usage.input_tokens += input;
    m->usage.output_tokens += output;
    m->round_cached_tokens += chat_stream_cached_tokens(m->stream);
    m->usage.cached_tokens += chat_stream_cached_tokens(m->stream);
}

static void set_model_usage(struct model_run *m)
{
    m->usage.has_wallclock = true;
    m->usage.wallclock_ms = clock_boot_ms() - m->began_ms;
    m->usage.cost = model_cost(&m->model, m->usage.input_tokens, m->usage.output_tokens);
    run_record_usage(run_pending_commit(m->run), &m->usage);
}

static void fail_model_run(struct model_run *m, enum failure_reason reason, const char *error)
{
    size_t size;
    if (m->usage.iterations == 0 && m->tries == 0)
        run_note_nothing_started(m->run);
    run_fail(m->run, reason, redact_text(m, m->redactor, error, strlen(error), &size));
}

/* --- answers --- */

static void judge_answer(void *state, void *ctx)
{
    struct model_run *m = state;
    m->judged = ctx;
    if (json_object_array_length(m->answer.calls) == 0)
        m->verdict = conversation_outputs(m->conversation, ctx, &m->answer, &m->outputs, &m->outputs_why);
    else
        m->arguments_ok = tool_calls_check(ctx, m->answer.calls);
}

static void finish_model_run(struct model_run *m)
{
    if (m->verdict != ANSWER_OK) {
        fail_model_run(m,
                       m->verdict == ANSWER_EMPTY   ? REASON_MODEL_ERROR
                       : m->verdict == ANSWER_LIMIT ? REASON_LIMIT_EXCEEDED
                                                    : REASON_OUTPUTS_INVALID,
                       m->outputs_why);
        return;
    }
    set_model_usage(m);
    run_succeed(m->run, json_text(m->outputs, NULL));
}

static void on_tools_done(void *arg)
{
    struct model_run *m = arg;
    tool_calls_add_results(m->tool_calls, m->conversation);
    TALLOC_FREE(m->tool_calls);
    m->round++;
    m->tries = 0;
    m->round_input_tokens = 0;
    m->round_output_tokens = 0;
    m->round_cached_tokens = 0;
    request_or_replay(m);
}

static void on_tool_rejected(void *arg, enum failure_reason reason, const char *error)
{
    fail_model_run(arg, reason, error);
}

static void call_tools(struct model_run *m)
{
    struct tool_calls_owner owner = {.on_done = on_tools_done, .on_rejected = on_tool_rejected, .arg = m};
    set_model_usage(m);
    m->tool_calls = tool_calls_new(m, m->run, m->answer.calls, m->round, &owner);
    tool_calls_start(m->tool_calls, m->tools, m->tools_n, m->arguments_ok, m->answer_resumed);
}

/* Writes the row of the round. A later attempt reads an answer from it instead of asking again, and otherwise
 * the requests so far and their tokens. `error`: the round has failed; NULL: it has not. */
static void put_round_row(struct model_run *m, enum step_status status, const char *error)
{
    struct chat_completion stored = {.input_tokens = m->round_input_tokens,
                                     .output_tokens = m->round_output_tokens,
                                     .cached_tokens = m->round_cached_tokens};
    int64_t now_ms = clock_wall_ms();
    if (status == STEP_STATUS_COMPLETED)
        stored.message = m->answer.message;
    char *row = chat_completion_to_row(m, &stored);
    struct run_step step = {.step = m->round,
                            .item = -1,
                            .status = status,
                            .tries = m->tries,
                            .started_ms = now_ms,
                            .completed_ms = status == STEP_STATUS_RUNNING ? 0 : now_ms,
                            .result = row,
                            .error = error};
    commit_put_step(run_pending_commit(m->run), &step);
    talloc_free(row);
    m->round_is_open = status == STEP_STATUS_RUNNING;
}

/* Calls the tools that the answer asks for, or ends the run. */
static void use_answer(struct model_run *m)
{
    void *judged = m->judged; /* call_tools may go on to the next answer */
    m->judged = NULL;
    if (json_object_array_length(m->answer.calls) == 0)
        finish_model_run(m);
    else
        call_tools(m);
    talloc_free(judged);
}

static void on_answer_judged(struct active_run *run)
{
    use_answer(run->state);
    if (!run->ending)
        run_flush(run);
}

/* `resumed`: the answer is an earlier attempt's. */
static void handle_answer(struct model_run *m, bool resumed)
{
    conversation_add_answer(m->conversation, m->answer.message);
    m->usage.iterations++;
    m->answer_resumed = resumed;
    if (json_object_array_length(m->answer.calls) > 0 && m->round + 1 >= m->manifest->max_iterations) {
        fail_model_run(m, REASON_MODEL_ERROR, "the model needed more rounds than max_iterations allows");
    } else if (m->answer.content_size + tool_calls_argument_bytes(m->answer.calls) > COMPUTE_INLINE_MAX) {
        run_compute(m->run, judge_answer, on_answer_judged);
    } else {
        judge_answer(m, talloc_new(m));
        use_answer(m);
    }
}

/* --- requests --- */

static void log_new_content(struct model_run *m, bool all)
{
    int64_t now_ms = clock_boot_ms();
    if (!all && now_ms - m->last_log_ms < LOG_INTERVAL_MS)
        return;
    const char *new_content = chat_stream_new_content(m->stream);
    m->last_log_ms = now_ms;
    if (*new_content)
        run_add_log_event(m->run, new_content, 0);
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
    int64_t ms = backoff_ms(BACKOFF_MS, m->tries, BACKOFF_MAX_MS);
    if (ms < retry_after_ms)
        ms = retry_after_ms;
    if (ms > BACKOFF_MAX_MS)
        ms = BACKOFF_MAX_MS;
    timer_set(m->run->exec->timers, &m->backoff, clock_boot_ms() + ms);
    put_round_row(m, STEP_STATUS_RUNNING, NULL);
    set_model_usage(m);
    run_flush(m->run);
}

static void take_answer(struct model_run *m)
{
    log_new_content(m, true);
    put_round_row(m, STEP_STATUS_COMPLETED, NULL);
    if (json_object_array_length(m->answer.calls) == 0) {
        handle_answer(m, false);
    } else {
        set_model_usage(m); /* a stop settles what was committed */
        m->awaited_commit = m->run->pending;
        run_flush(m->run);
    }
}

/* What is wrong with the response, as a sentence. `why`: what is wrong with the answer in it, or NULL. */
static const char *response_error(struct model_run *m, const struct http_response *a, const char *why)
{
    if (a->error)
        return a->error;
    if (why)
        return why;
    const char *text = api_error_text(m, a->body, a->body_size);
    return talloc_asprintf(m, "status %d%s%s", a->status, *text ? ": " : " without a reason", text);
}

static void handle_response(struct model_run *m, const struct http_response *a)
{
    const char *why = NULL;
    bool ok = !a->error && a->status >= 200 && a->status < 300;
    enum err e = ok ? chat_stream_finish(m->stream, &m->answer, &why) : ERR_RETRY;
    count_response_tokens(m);
    if (e == OK) {
        take_answer(m);
        return;
    }
    bool again = a->error ? a->retry
                 : ok     ? e == ERR_RETRY
                          : a->status == 408 || a->status == 429 || a->status >= 500;
    if (again && m->tries < ATTEMPTS_MAX) {
        retry_completion(m, a->error ? 0 : http_retry_after_ms(a));
        return;
    }
    fail_model_run(m, REASON_MODEL_ERROR,
                   talloc_asprintf(m, "model API error: %s", response_error(m, a, why)));
}

static void trace_response(struct model_run *m, const struct http_response *a)
{
    struct run_span span = {
        .key = {TRACE_SPAN_MODEL, m->round, m->tries, 0},
        .above = {.span = TRACE_SPAN_RUN},
        .step = "model",
        .type = "model",
        .start_ms = m->asked_ms,
        .is_request = true,
        .failed = a->error || a->status < 200 || a->status > 299,
        .status = a->error ? 0 : a->status,
    };
    span.reason = span.failed ? reason_name(REASON_MODEL_ERROR) : NULL;
    run_trace_span(&m->run->trace, &span);
}

/* The run had no slot while its request was in flight. */
static void on_model_response(void *arg, const struct http_response *a)
{
    struct model_run *m = arg;
    trace_response(m, a);
    m->call = NULL;
    m->response = talloc_steal(m, a);
    model_resume(m->run);
}

/* traceparent and tracestate. A trace about which nobody has decided counts as sampled here: gateways record
 * what models cost. */
static size_t add_trace_headers(struct model_run *m, struct http_header *headers)
{
    const struct trace_key key = {TRACE_SPAN_MODEL, m->round, m->tries, 0};
    size_t n = run_trace_headers(m, &m->run->trace, key, headers);
    if (run_trace_is_undecided(&m->run->trace)) {
        struct trace_context t = trace_below(&m->run->trace.context, &m->run->row.id, key);
        char text[TRACE_PARENT_TEXT];
        t.flags = TRACE_SAMPLED;
        trace_parent_text(&t, text);
        headers[0].value = talloc_strdup(m, text);
    }
    return n;
}

static void request_completion(struct model_run *m)
{
    if (!executor_holds_lease(m->run->exec)) /* the run is about to be cancelled */
        return;
    json_object *body = conversation_request(m->conversation, m->model.model, m->tools, m->tools_n);
    size_t size;
    model_options_apply(m->options, body);
    const char *key_header = model_options_key_header(m->options);
    struct http_header headers[3 + TRACE_HEADERS_MAX] = {
        {"Content-Type", "application/json"},
        {"Accept", "text/event-stream"},
        {key_header ? key_header : "Authorization",
         talloc_asprintf(m, "%s%s", key_header ? "" : "Bearer ", m->model.key ? m->model.key : "")},
    };
    size_t n = strlen(m->model.url);
    size_t headers_n = m->model.key ? 3 : 2;
    m->tries++;
    m->asked_ms = clock_wall_ms();
    headers_n += add_trace_headers(m, headers + headers_n);
    struct http_request request = {
        .method = "POST",
        .url = talloc_asprintf(m, "%s%schat/completions%s", m->model.url,
                               n > 0 && m->model.url[n - 1] == '/' ? "" : "/",
                               model_options_query(m, m->options)),
        .headers = headers,
        .header_count = headers_n,
        .body = json_text(body, &size),
    };
    request.body_size = size;
    m->last_log_ms = clock_boot_ms();
    TALLOC_FREE(m->stream);
    m->stream = chat_stream_new(m, m->round);
    m->stream_is_counted = false;
    m->call = http_send_streamed(m->run->exec->http_client, &m->run->row.workspace_id, &request,
                                 on_model_bytes, on_model_response, m);
    json_object_put(body);
    run_yield_slot(m->run);
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
    struct model_run *m = run->state;
    if (!m->began_ms)
        return;
    count_response_tokens(m); /* of a response that the run's timeout cuts off */
    if (m->round_is_open)
        put_round_row(m, STEP_STATUS_FAILED, error);
    set_model_usage(m);
}

static void take_response(struct model_run *m)
{
    if (!slot_acquire(&m->run->slot))
        return;
    void *scratch = talloc_new(NULL); /* the run may be freed before this function returns */
    const struct http_response *response = talloc_steal(scratch, m->response);
    m->response = NULL;
    handle_response(m, response);
    talloc_free(scratch);
}

static void model_resume(struct active_run *run)
{
    struct model_run *m = run->state;
    if (run->ending)
        return;
    if (m->response) {
        take_response(m);
        return;
    }
    if (!m->ready_to_ask)
        return;
    if (run->exec->stopping) {
        run_release(run);
    } else if (slot_acquire(&run->slot)) {
        m->ready_to_ask = false;
        request_completion(m);
    }
}

/* --- the beginning --- */

struct load_model_job {
    /* first */
    struct job job;
    id workspace;
    const uint8_t *secret_key;
    const char *alias;
    /* a reference */
    struct cached_skill *skill;

    /* --- results --- */
    struct model model;
    /* references: the skills that the model may call */
    struct cached_skill **tools;
    size_t tools_n;
    /* of the manifest's tools, those that are done */
    size_t looked_up;
    size_t compile_left;
};

static int load_model_destroy(struct load_model_job *j)
{
    cached_skill_unref(j->skill);
    for (size_t i = 0; i < j->tools_n; i++)
        cached_skill_unref(j->tools[i]);
    return 0;
}

/* Takes the skill that is next into the tools. ERR_LIMIT: the job waits for its manifest. */
static enum err load_tool(struct load_model_job *j, struct db_thread_ctx *thread_ctx, const char *slug)
{
    void *scratch = talloc_new(NULL);
    struct skill row;
    enum err e = compiled_skills_find_within(thread_ctx->skills, thread_ctx->db, scratch, &j->workspace, slug,
                                             &j->compile_left, &j->tools[j->tools_n], &row);
    if (e == ERR_LIMIT) {
        e = compile_skill_for_job(thread_ctx, &j->workspace, &row, &j->job);
        j->job.waits = e == OK;
        e = e == OK ? ERR_LIMIT : e;
    }
    talloc_free(scratch);
    return e;
}

/* A missing or broken skill is left out of the tools. */
static void load_model_work(struct job *job, struct db_thread_ctx *thread_ctx)
{
    struct load_model_job *j = (struct load_model_job *)job;
    const struct manifest *m = cached_skill_manifest(j->skill);
    if (!j->tools) {
        job->e = j->alias ? model_find(thread_ctx->db, j, j->secret_key, &j->workspace, j->alias, &j->model)
                          : ERR_NOT_FOUND;
        j->tools = talloc_zero_array(j, struct cached_skill *, m->tools_n + 1);
    }
    j->compile_left = COMPUTE_INLINE_MAX;
    for (; job->e == OK && j->looked_up < m->tools_n; j->looked_up++) {
        enum err e = load_tool(j, thread_ctx, m->tools[j->looked_up]);
        if (e == ERR_LIMIT)
            return;
        if (e == OK)
            j->tools_n++;
        else if (e != ERR_NOT_FOUND && e != ERR_INVALID)
            job->e = e;
    }
}

static const struct stored_step *stored_round(const struct model_run *m, int round)
{
    for (size_t i = 0; i < m->stored_steps_n; i++) {
        if (m->stored_steps[i].step == round && m->stored_steps[i].item == -1)
            return &m->stored_steps[i];
    }
    return NULL;
}

/* An answer that an earlier attempt has stored is not asked for again. The tokens that were used for it
 * count. */
static bool replay_answer(struct model_run *m)
{
    const struct stored_step *row = stored_round(m, m->round);
    if (!row || !row->result)
        return false;
    bool answered = chat_completion_from_row(m, row->result, &m->answer);
    m->tries = row->tries;
    m->round_is_open = !answered;
    m->round_input_tokens = m->answer.input_tokens;
    m->round_output_tokens = m->answer.output_tokens;
    m->usage.input_tokens += m->answer.input_tokens;
    m->usage.output_tokens += m->answer.output_tokens;
    m->round_cached_tokens = m->answer.cached_tokens;
    m->usage.cached_tokens += m->answer.cached_tokens;
    return answered && row->status == STEP_STATUS_COMPLETED;
}

static void request_or_replay(struct model_run *m)
{
    if (replay_answer(m)) {
        handle_answer(m, true);
        if (!m->run->ending)
            run_flush(m->run);
        return;
    }
    m->ready_to_ask = true;
    model_resume(m->run);
}

static void parse_inputs(void *state, void *ctx)
{
    struct model_run *m = state;
    m->inputs = claim_json(ctx, m->input_text, json_object_new_object());
}

static void start_conversation(struct active_run *run)
{
    struct model_run *m = run->state;
    const char *why;
    if (conversation_new(m, m->manifest, m->inputs, &m->conversation, &why) == OK)
        request_or_replay(m);
    else
        fail_model_run(m, REASON_STEP_FAILED, why);
}

static void begin_conversation(struct model_run *m)
{
    if (m->input_text && strlen(m->input_text) > COMPUTE_INLINE_MAX) {
        run_compute(m->run, parse_inputs, start_conversation);
        return;
    }
    parse_inputs(m, m);
    start_conversation(m->run);
}

/* Takes over what the job has loaded. The job lives on, with its references, below the state. */
static void take_loaded_model(struct model_run *m, struct load_model_job *j)
{
    talloc_steal(m, j);
    m->model = j->model;
    m->tools_n = j->tools_n;
    m->tools = talloc_array(m, const struct manifest *, j->tools_n);
    for (size_t i = 0; i < j->tools_n; i++)
        m->tools[i] = cached_skill_manifest(j->tools[i]);
    struct secret_value key = {m->model.key, m->model.key ? strlen(m->model.key) : 0};
    m->redactor = m->model.key ? redactor_new(m, &key, 1) : NULL;
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
    const char *why;
    m->loading = NULL;
    take_loaded_model(m, j);
    if (err_is_transient(job->e))
        run_release(run);
    else if (job->e == ERR_NOT_FOUND)
        fail_model_run(m, REASON_MODEL_ERROR, "the model is no longer configured for this workspace");
    else if (job->e != OK || (m->model.has_key && !m->model.key))
        fail_model_run(m, REASON_MODEL_ERROR, "the model's API key could not be decrypted");
    else if (m->model.options && model_options_parse(m, m->model.options, &m->options, &why) != OK)
        fail_model_run(m, REASON_MODEL_ERROR, talloc_asprintf(m, "the options of the model: %s", why));
    else
        begin_conversation(m);
}

static const char *alias_of(void *ctx, const char *extra_text)
{
    json_object *extra = NULL;
    const char *why;
    if (!extra_text ||
        json_parse_tolerant(ctx, extra_text, strlen(extra_text), JSON_DEPTH_MAX, &extra, &why) != OK)
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
    m->input_text = c->input ? talloc_strdup(m, c->input) : NULL;
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
    char trace[TRACE_ID_TEXT];
    trace_id_text(&run->trace.context, trace);
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

/* --- the kind of run --- */

static void model_cancel(struct active_run *run)
{
    struct model_run *m = run->state;
    if (m->loading)
        m->loading->arg = NULL;
    m->loading = NULL;
    if (m->call)
        http_cancel(m->call);
    m->call = NULL;
    m->response = NULL; /* freed with the run */
    timer_clear(run->exec->timers, &m->backoff);
    if (m->tool_calls)
        tool_calls_cancel(m->tool_calls);
}

/* A request to a model in flight may finish, as it is billed. Child executions continue independently, and
 * the next attempt finds them again. */
static bool model_has_inflight_effect(const struct active_run *run)
{
    const struct model_run *m = run->state;
    return m->call || m->response;
}

static bool model_can_yield(const struct active_run *run)
{
    const struct model_run *m = run->state;
    return !run->job && !m->response && !m->loading && !m->ready_to_ask &&
           (m->call || m->tool_calls || timer_is_set(&m->backoff));
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
    .leave = run_leave_state_to_job,
};
