/* Step type `http`: one request. The result is {status, headers, body}, also of a step that failed because of
 * the status.
 *
 * Idempotency-Key: "EXECUTION-STEP-ITEM-RESPONSES", where RESPONSES is the number of responses received so
 * far. Until a response is received the key stays the same, however often and by whichever executor the
 * request is sent. A retry after a response is a new request and has a new key. The number is stored before
 * the request is sent.
 *
 * Secrets are looked up for each request. All secrets that any step of the program refers to are redacted
 * from everything that comes back. */
#include <curl/curl.h>
#include <string.h>
#include <strings.h>
#include <talloc.h>

#include "base/clock.h"
#include "executor/io/http_client.h"
#include "executor/io/response_body.h"
#include "executor/io/secret_lookup.h"
#include "executor/run/workflow/action.h"
#include "executor/run/workflow/scope_memory.h"
#include "secret/redact.h"
#include "service/compute_thread.h"
#include "workflow/program_eval.h"

/* what a request takes besides its body, by estimate: handle of libcurl, headers */
enum { REQUEST_BYTES = 8 * 1024 };

struct http_action {
    struct action *action;
    struct http_call *call;
    /* has come, and waits for a slot to be looked at; owned */
    const struct http_response *response;
    /* of the response, once it has been computed; NULL: searching it for secrets exceeds the budget */
    json_object *result;
    struct budget result_budget;
    /* its `arg` is cleared if the action is freed first */
    struct secret_lookup *secret_lookup;
    struct secret_value *secrets;
    const char **names;
    size_t secrets_n;
    struct redactor *redactor;
    /* of the rendering that looks up secrets */
    struct budget *budget;
};

/* --- responses --- */

/* {status, headers, body}, and body_error if the body could not be parsed as its media type promises; with
 * secrets redacted; of ctx. NULL: searching it for secrets exceeds the budget. */
static json_object *http_result(void *ctx, const struct http_action *s, const struct http_response *a,
                                struct budget *budget)
{
    const char *why;
    json_object *result = json_own(ctx, json_object_new_object());
    json_object_object_add(result, "status", json_object_new_int(a->status));
    json_object_object_add(result, "headers", json_object_get(a->headers));
    json_object_object_add(result, "body",
                           response_body_value(ctx, a->content_type, a->body, a->body_size, &why));
    if (why)
        json_object_object_add(result, "body_error", json_object_new_string(why));
    return redact_json_within(ctx, s->redactor, result, budget);
}

static void compute_result(void *state, void *ctx)
{
    struct http_action *s = state;
    s->result_budget = (struct budget){.limit = BUDGET_EVALUATION};
    s->result = http_result(ctx, s, s->response, &s->result_budget);
}

static void succeed_with_response(void *scratch, struct action *a)
{
    const struct http_action *s = a->state;
    char sentence[BUDGET_SENTENCE_SIZE];
    if (s->result) {
        action_succeed(a, s->result);
        return;
    }
    struct action_failure failure = {
        .error = talloc_asprintf(scratch, "the response could not be searched for secrets: %s",
                                 budget_sentence(&s->result_budget, sentence)),
        .reason = REASON_LIMIT_EXCEEDED};
    action_fail(a, &failure);
}

/* The response stays beside the error: it tells why the server refused. */
static void fail_with_response(void *scratch, struct action *a, const struct http_response *answer)
{
    const struct http_action *s = a->state;
    int status = answer->status;
    struct action_failure failure = {
        .error = talloc_asprintf(scratch, "unexpected response status %d", status),
        .retry = status == 408 || status == 429 || (status >= 500 && status <= 599),
        .answered = true,
        .retry_after_ms = http_retry_after_ms(answer),
        .result = json_own(scratch, json_object_get(s->result))};
    action_fail(a, &failure);
}

static void end_with_response(struct action *a)
{
    struct http_action *s = a->state;
    void *scratch = talloc_new(NULL); /* action_fail and action_succeed free `s` */
    const struct http_response *answer = talloc_steal(scratch, s->response);
    s->response = NULL;
    a->http_status = answer->error ? 0 : answer->status;
    if (answer->error) {
        size_t size;
        struct action_failure failure = {
            .error = redact_text(scratch, s->redactor, answer->error, strlen(answer->error), &size),
            .retry = answer->retry};
        action_fail(a, &failure);
    } else if (program_status_expected(a->step, answer->status)) {
        succeed_with_response(scratch, a);
    } else {
        fail_with_response(scratch, a, answer);
    }
    talloc_free(scratch);
}

/* The run has a slot again. */
static void handle_response(struct action *a)
{
    struct http_action *s = a->state;
    if (!s->response->error && s->response->body_size > COMPUTE_INLINE_MAX) {
        action_compute(a, compute_result, end_with_response);
        return;
    }
    if (!s->response->error)
        compute_result(s, s);
    end_with_response(a);
}

static void on_http_response(void *arg, const struct http_response *answer)
{
    struct http_action *s = arg;
    size_t had = s->action->memory;
    s->call = NULL;
    s->response = talloc_steal(s, answer);
    s->action->memory += answer->body_size + (answer->headers ? json_tree_bytes(answer->headers) : 0);
    slot_add_bytes(&s->action->run->slot, s->action->memory - had);
    action_suspend_timeout(s->action);
    action_wake(s->action, handle_response);
}

/* --- requests --- */

/* The request had to wait for its place, which is no time of the step. */
static void on_http_sent(void *arg)
{
    struct http_action *s = arg;
    action_start_timeout(s->action);
}

static const char *find_secret(void *arg, const char *name, size_t *size_r)
{
    struct http_action *s = arg;
    if (!budget_charge(s->budget, s->secrets_n))
        return NULL;
    for (size_t i = 0; i < s->secrets_n; i++) {
        if (strcmp(s->names[i], name) != 0)
            continue;
        *size_r = s->secrets[i].size;
        return s->secrets[i].text;
    }
    return NULL;
}

static bool names_header(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (strcasecmp(request->headers[i].name, name) == 0)
            return true;
    }
    return false;
}

/* Where the program sets one of the headers itself, nothing of the run's trace is sent. */
static void add_trace_headers(void *ctx, const struct action *a, struct http_request *request)
{
    if (names_header(request, "traceparent") || names_header(request, "tracestate"))
        return;
    size_t n = request->header_count;
    struct http_header *headers = talloc_array(ctx, struct http_header, n + TRACE_HEADERS_MAX);
    for (size_t i = 0; i < n; i++)
        headers[i] = request->headers[i];
    request->header_count = n + run_trace_headers(ctx, &a->run->trace, action_trace_key(a), headers + n);
    request->headers = headers;
}

static void send_request(struct action *a)
{
    struct http_action *s = a->state;
    struct template_scope scope = action_scope(a);
    struct http_request request;
    const char *why = NULL;
    void *scratch = talloc_new(NULL);
    scope.secret = find_secret;
    scope.secret_arg = s;
    s->budget = scope.budget;
    if (http_request_render(scratch, a->step, &scope, &request, &why) != OK) {
        size_t size;
        if (!why)
            why = "the request could not be rendered";
        struct action_failure failure = {.error = redact_text(scratch, s->redactor, why, strlen(why), &size),
                                         .reason = scope_failure_reason(&scope)};
        action_fail(a, &failure);
    } else if (executor_holds_lease(a->run->exec)) {
        add_trace_headers(scratch, a, &request);
        char *key = talloc_asprintf(scratch, "%s-%zu-%d-%d", a->run->row.id.text, a->step->index, a->item,
                                    a->answers);
        s->call = http_send(a->run->exec->http_client, &a->run->row.workspace_id, &request, key,
                            on_http_response, s);
        if (http_notify_sent(s->call, on_http_sent))
            action_suspend_timeout(a);
        a->memory = REQUEST_BYTES + request.body_size;
        action_set_in_flight(a);
    }
    talloc_free(scratch);
}

/* --- secrets --- */

static void on_secrets_found(struct job *job)
{
    struct secret_lookup *j = (struct secret_lookup *)job;
    struct http_action *s = job->arg;
    if (s && job->e == OK) {
        s->secret_lookup = NULL;
        talloc_steal(s, j);
        s->secrets = j->values;
        s->redactor = redactor_new(s, s->secrets, s->secrets_n);
        send_request(s->action);
        return;
    }
    if (s) {
        struct action_failure failure = {.error = j->why, .retry = err_is_transient(job->e)};
        s->secret_lookup = NULL;
        action_fail(s->action, &failure);
    }
    talloc_free(j);
}

/* The first rendering collects the names of the secrets that the request refers to. */
static const char *collect_secret_name(void *arg, const char *name, size_t *size_r)
{
    struct http_action *s = arg;
    size_t unused;
    if (!find_secret(s, name, &unused)) {
        if (budget_is_exceeded(s->budget))
            return NULL;
        s->names = talloc_realloc(s, s->names, const char *, s->secrets_n + 1);
        s->secrets = talloc_realloc(s, s->secrets, struct secret_value, s->secrets_n + 1);
        s->names[s->secrets_n] = talloc_strdup(s, name);
        s->secrets[s->secrets_n++] = (struct secret_value){.text = "", .size = 0};
    }
    *size_r = 1;
    return "x";
}

/* The others that the program refers to are known to the redactor only. */
static void add_names_of_program(struct http_action *s)
{
    const struct program *program = s->action->group->program;
    size_t unused;
    for (size_t i = 0; i < program->secrets_n; i++) {
        if (!find_secret(s, program->secrets[i], &unused))
            collect_secret_name(s, program->secrets[i], &unused);
    }
}

static bool look_up_secrets(struct action *a)
{
    struct http_action *s = a->state;
    struct template_scope scope = action_scope(a);
    struct http_request request;
    const char *why;
    if (a->group->program->secrets_n == 0)
        return false;
    void *scratch = talloc_new(NULL);
    scope.secret = collect_secret_name;
    scope.secret_arg = s;
    s->budget = scope.budget;
    enum err e = http_request_render(scratch, a->step, &scope, &request, &why);
    talloc_free(scratch);
    if (e != OK)
        return false; /* the second rendering reports the error */
    size_t needed_n = s->secrets_n;
    s->budget = NULL; /* the names of the program are bounded when it is compiled */
    add_names_of_program(s);
    s->secret_lookup =
        secret_lookup_new(a->run->exec, &a->run->row.workspace_id, s->names, s->secrets_n, needed_n);
    s->secret_lookup->job.done = on_secrets_found;
    s->secret_lookup->job.arg = s;
    db_thread_submit(a->run->exec->db_thread, &s->secret_lookup->job);
    return true;
}

/* --- the step type --- */

static void start_http_action(struct action *a)
{
    struct http_action *s = talloc_zero(a, struct http_action);
    s->action = a;
    a->state = s;
    if (!look_up_secrets(a))
        send_request(a);
}

static void cancel_http_action(struct action *a)
{
    struct http_action *s = a->state;
    if (s->call)
        http_cancel(s->call);
    if (s->secret_lookup)
        s->secret_lookup->job.arg = NULL;
    TALLOC_FREE(a->state);
}

const struct step_kind step_http = {.start = start_http_action, .cancel = cancel_http_action};
