/* Requests to the API by libcurl: repeated where that is safe, with the delay that the server asks for. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <talloc.h>
#include <time.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/event_stream.h"
#include "base/ids.h"
#include "base/text_buffer.h"
#include "base/uri.h"
#include "base/version.h"
#include "remote/remote.h"
#include "json/json.h"

enum {
    CONNECT_S = 10,
    /* without a byte for so long, a response counts as lost; a wait takes up to 60 s */
    SILENCE_S = 75,
    /* of a stream, in which the server sends a comment every 15 s */
    STREAM_SILENCE_S = 45,
    DELAY_FIRST_MS = 250,
    DELAY_MAX_MS = 15000,
    ERROR_BODY_MAX = 1024 * 1024
};

struct attempt {
    struct remote *remote;
    void *ctx;
    CURL *easy;
    struct curl_slist *headers;
    curl_mime *mime;
    char error[CURL_ERROR_SIZE];
    CURLcode code;
    long status;
    /* -1: the response does not say */
    int64_t retry_after_ms;
    struct text_buffer body;
    /* of a stream: gets the bytes of a response below 400 in place of `body` */
    struct event_stream *events;
};

/* --- one attempt --- */

static size_t attempt_on_body(char *bytes, size_t size, size_t n, void *arg)
{
    struct attempt *a = arg;
    (void)size; /* always 1 */
    curl_easy_getinfo(a->easy, CURLINFO_RESPONSE_CODE, &a->status);
    if (a->events && a->status < 400)
        event_stream_feed(a->events, bytes, n);
    else if (a->status < 400 || a->body.size < ERROR_BODY_MAX)
        text_buffer_append(a->ctx, &a->body, bytes, n);
    return n;
}

static void add_header(struct attempt *a, const char *name, const char *value)
{
    if (value)
        a->headers = curl_slist_append(a->headers, talloc_asprintf(a->ctx, "%s: %s", name, value));
}

static void set_files(struct attempt *a, const struct remote_request *q)
{
    a->mime = curl_mime_init(a->easy);
    for (size_t i = 0; i < q->files_n; i++) {
        curl_mimepart *part = curl_mime_addpart(a->mime);
        curl_mime_name(part, "files");
        curl_mime_filedata(part, q->files[i]);
        if (q->media_type)
            curl_mime_type(part, q->media_type);
    }
    curl_easy_setopt(a->easy, CURLOPT_MIMEPOST, a->mime);
}

static void set_body(struct attempt *a, const struct remote_request *q)
{
    if (q->files_n) {
        set_files(a, q);
    } else if (strcmp(q->method, "POST") == 0) {
        const char *body = q->body ? q->body : "";
        curl_easy_setopt(a->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
        curl_easy_setopt(a->easy, CURLOPT_POSTFIELDS, body);
        add_header(a, "Content-Type", "application/json");
    }
    add_header(a, "Expect", ""); /* a POST is sent at once */
}

static void set_common(struct attempt *a, const char *url, long silence_s)
{
    CURL *e = a->easy;
    curl_easy_setopt(e, CURLOPT_URL, url);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L); /* the key goes to this server only */
    curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
    curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, silence_s);
    curl_easy_setopt(e, CURLOPT_USERAGENT, "millrace-cli/" MILLRACE_VERSION);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, attempt_on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, a);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, a->error);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, a->headers);
}

/* A lower-case header of the response, or NULL. */
static const char *response_header(struct attempt *a, const char *name)
{
    struct curl_header *h;
    return curl_easy_header(a->easy, name, 0, CURLH_HEADER, -1, &h) == CURLHE_OK ? h->value : NULL;
}

static void perform(struct attempt *a)
{
    a->code = curl_easy_perform(a->easy);
    curl_easy_getinfo(a->easy, CURLINFO_RESPONSE_CODE, &a->status);
    const char *after = response_header(a, "Retry-After");
    char *end;
    long seconds = after ? strtol(after, &end, 10) : -1;
    a->retry_after_ms = after && *after && !*end && seconds >= 0 ? (int64_t)seconds * 1000 : -1;
    curl_slist_free_all(a->headers);
    curl_mime_free(a->mime);
    a->headers = NULL;
    a->mime = NULL;
}

static void begin_attempt(struct attempt *a, struct remote *r)
{
    *a = (struct attempt){
        .remote = r, .ctx = talloc_new(r->ctx), .easy = curl_easy_init(), .retry_after_ms = -1};
    add_header(a, "Authorization", talloc_asprintf(a->ctx, "Bearer %s", r->key));
}

/* The body stays on remote->ctx. */
static void end_attempt(struct attempt *a)
{
    curl_easy_cleanup(a->easy);
    talloc_free(a->ctx);
}

/* --- errors --- */

static const char *problem_code(struct attempt *a, const char **detail_r)
{
    json_object *problem = NULL;
    const char *why;
    if (json_parse_tolerant(a->ctx, text_buffer_text(&a->body), a->body.size, JSON_DEPTH_MAX, &problem,
                            &why) != OK)
        problem = NULL;
    const char *code = json_get_text(problem, "code"), *detail = json_get_text(problem, "detail");
    *detail_r = detail ? detail : "";
    return code ? code : "";
}

/* Whether the same request may succeed later. */
static bool is_passing(struct attempt *a)
{
    const char *detail;
    switch (a->code == CURLE_OK ? a->status : 0) {
    case 0:
        return a->code != CURLE_READ_ERROR && a->code != CURLE_URL_MALFORMAT &&
               a->code != CURLE_PEER_FAILED_VERIFICATION;
    case 408:
    case 429:
    case 502:
    case 503:
    case 504:
        return true;
    case 409:
        return strcmp(problem_code(a, &detail), "idempotency_in_flight") == 0;
    default:
        return false;
    }
}

/* Each error of `errors` in a line of its own. */
static char *problem_lines(struct attempt *a)
{
    json_object *problem = NULL;
    const char *why;
    char *lines = talloc_strdup(a->ctx, "");
    if (json_parse_tolerant(a->ctx, text_buffer_text(&a->body), a->body.size, JSON_DEPTH_MAX, &problem,
                            &why) != OK)
        return lines;
    json_object *list = json_get(problem, "errors");
    for (size_t i = 0; json_object_is_type(list, json_type_array) && i < json_object_array_length(list);
         i++) {
        json_object *one = json_object_array_get_idx(list, i);
        const char *pointer = json_get_text(one, "pointer"), *message = json_get_text(one, "message");
        lines = talloc_asprintf_append_buffer(lines, "\n  %s: %s", pointer ? pointer : "",
                                              message ? message : "");
    }
    return lines;
}

static int report_error(struct attempt *a)
{
    const char *detail;
    struct remote *r = a->remote;
    if (a->code != CURLE_OK)
        return remote_fail(r, REMOTE_UNREACHABLE, "%s: %s", r->url,
                           *a->error ? a->error : curl_easy_strerror(a->code));
    bool is_refused = a->status < 500 && a->status != 429 && a->status != 408;
    const char *code = problem_code(a, &detail);
    if (r->json && *code) { /* the problem itself, with its errors and request_id */
        fprintf(stderr, "%.*s\n", (int)a->body.size, text_buffer_text(&a->body));
        return is_refused ? REMOTE_REFUSED : REMOTE_UNREACHABLE;
    }
    return remote_fail(r, is_refused ? REMOTE_REFUSED : REMOTE_UNREACHABLE, "%ld %s: %s%s", a->status, code,
                       detail, problem_lines(a));
}

/* Waits before the next attempt. False if none is due before the deadline. */
static bool pause_before_retry(const struct attempt *a, int attempt, int64_t deadline_ms)
{
    int64_t delay_ms =
        a->retry_after_ms >= 0 ? a->retry_after_ms : backoff_ms(DELAY_FIRST_MS, attempt, DELAY_MAX_MS);
    if (clock_boot_ms() + delay_ms > deadline_ms)
        return false;
    nanosleep(&(struct timespec){.tv_sec = delay_ms / 1000, .tv_nsec = delay_ms % 1000 * 1000000}, NULL);
    return true;
}

/* --- requests --- */

int remote_call(struct remote *r, const struct remote_request *q, struct remote_response *response_r)
{
    int64_t deadline_ms = clock_boot_ms() + r->retry_ms;
    bool may_repeat = q->is_repeatable || q->idempotency_key || strcmp(q->method, "POST") != 0;
    for (int attempt = 1;; attempt++) {
        struct attempt a;
        begin_attempt(&a, r);
        add_header(&a, "Idempotency-Key", q->idempotency_key);
        set_body(&a, q);
        set_common(&a, talloc_asprintf(a.ctx, "%s/api/v1%s", r->url, q->path), SILENCE_S);
        perform(&a);
        bool is_done = a.code == CURLE_OK && a.status < 400;
        if (is_done) {
            *response_r = (struct remote_response){
                (int)a.status, talloc_strndup(r->ctx, text_buffer_text(&a.body), a.body.size), a.body.size};
        } else if (may_repeat && is_passing(&a) && pause_before_retry(&a, attempt, deadline_ms)) {
            end_attempt(&a);
            continue;
        }
        int code = is_done ? REMOTE_DONE : report_error(&a);
        end_attempt(&a);
        return code;
    }
}

/* --- streams --- */

struct follow {
    struct remote *remote;
    remote_on_event *on_event;
    void *arg;
    int64_t last;
    bool has_ended, has_progress;
};

static void follow_on_event(void *arg, const char *type, const char *data, size_t size)
{
    struct follow *f = arg;
    json_object *event;
    const char *why;
    void *ctx = talloc_new(f->remote->ctx);
    if (json_parse_tolerant(ctx, data, size, JSON_DEPTH_MAX, &event, &why) == OK) {
        int64_t seq = json_object_get_int64(json_get(event, "seq"));
        if (seq > f->last) { /* a number that was seen before is a repetition */
            f->last = seq;
            f->has_progress = true;
            f->on_event(f->arg, type, data, size);
        }
        f->has_ended = strcmp(type, "execution.succeeded") == 0 || strcmp(type, "execution.failed") == 0 ||
                       strcmp(type, "execution.stopped") == 0;
    }
    talloc_free(ctx);
}

int remote_follow(struct remote *r, const char *execution, int64_t after, remote_on_event *on_event,
                  void *arg)
{
    struct follow f = {.remote = r, .on_event = on_event, .arg = arg, .last = after};
    int64_t deadline_ms = clock_boot_ms() + r->retry_ms;
    const char *path = remote_path(r, "/executions/", execution, "/events");
    for (int attempt = 1;; attempt++) {
        struct attempt a;
        begin_attempt(&a, r);
        add_header(&a, "Accept", "text/event-stream");
        add_header(&a, "Last-Event-ID", f.last ? talloc_asprintf(a.ctx, "%lld", (long long)f.last) : NULL);
        a.events = event_stream_new(a.ctx, follow_on_event, &f);
        set_common(&a, talloc_asprintf(a.ctx, "%s/api/v1%s", r->url, path), STREAM_SILENCE_S);
        f.has_progress = false;
        perform(&a);
        bool is_over = f.has_ended || (a.code == CURLE_OK && a.status == 204);
        bool was_cut = a.code == CURLE_OK && a.status < 400;
        if (f.has_progress) {
            attempt = 1;
            deadline_ms = clock_boot_ms() + r->retry_ms;
        }
        bool again = !is_over && (was_cut || is_passing(&a)) && pause_before_retry(&a, attempt, deadline_ms);
        int code = is_over ? REMOTE_DONE : REMOTE_UNREACHABLE;
        if (!again && !is_over)
            code = was_cut ? remote_fail(r, code, "the event stream of %s was cut", execution)
                           : report_error(&a);
        end_attempt(&a);
        if (!again)
            return code;
    }
}

/* --- paths --- */

const char *remote_key(struct remote *r)
{
    id key = id_new();
    return talloc_strdup(r->ctx, key.text);
}

char *remote_path(struct remote *r, const char *before, const char *segment, const char *after)
{
    char *path = talloc_strdup(r->ctx, before);
    uri_percent_encode(&path, segment, strlen(segment));
    return talloc_strdup_append_buffer(path, after);
}

char *remote_query(char *path, const char *name, const char *value)
{
    if (!value)
        return path;
    path = talloc_asprintf_append_buffer(path, "%c%s=", strchr(path, '?') ? '&' : '?', name);
    uri_percent_encode(&path, value, strlen(value));
    return path;
}
