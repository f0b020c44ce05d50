#include "otlp/otlp.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "otlp/spans_share.h"
#include "service/thread_queue.h"
#include "json/json.h"

enum { ANSWER_MAX = 4096, CONNECT_MS = 2000, RETRY_MS = 1000, UNIX_PREFIX = sizeof "unix:" - 1 };

struct otlp {
    const char *service, *url, *socket;
    uint32_t millionths;
    struct otlp_counters own, *counters;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    bool started, ending;
    /* CLOCK_BOOTTIME: when the thread gives up at the end */
    _Atomic int64_t give_up_ms;
    /* a ring; allocated with the first span */
    struct otlp_span *queue;
    size_t first, n;
    struct spans_share share;

    /* --- the thread's --- */
    CURL *curl;
    struct otlp_span *batch;
    char answer[ANSWER_MAX];
    size_t answer_size;
    bool failing;
};

enum sent { SENT, SEND_AGAIN, REFUSED };

static void count(atomic_uint_fast64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* --- one request --- */

static size_t on_answer(char *bytes, size_t size, size_t n, void *arg)
{
    struct otlp *o = arg;
    size_t room = sizeof o->answer - o->answer_size;
    size_t take = size * n < room ? size * n : room;
    memcpy(o->answer + o->answer_size, bytes, take);
    o->answer_size += take;
    return size * n;
}

static bool is_given_up(struct otlp *o)
{
    int64_t at_ms = atomic_load(&o->give_up_ms);
    return at_ms > 0 && clock_boot_ms() >= at_ms;
}

static int on_progress(void *arg, curl_off_t down, curl_off_t down_now, curl_off_t up, curl_off_t up_now)
{
    (void)down, (void)down_now, (void)up, (void)up_now;
    return is_given_up(arg);
}

/* Spans that the collector has not taken, by its answer. */
static uint64_t rejected_spans(struct otlp *o)
{
    void *ctx = talloc_new(NULL);
    json_object *answer = NULL;
    const char *why;
    int64_t n = 0;
    if (o->answer_size > 0 && json_parse_tolerant(ctx, o->answer, o->answer_size, 8, &answer, &why) == OK) {
        json_object *partial = json_get(answer, "partialSuccess");
        json_object *value = partial ? json_get(partial, "rejectedSpans") : NULL;
        n = value ? json_object_get_int64(value) : 0;
    }
    talloc_free(ctx);
    return n > 0 ? (uint64_t)n : 0;
}

static void set_options(struct otlp *o, struct curl_slist *headers, const char *body, size_t size)
{
    curl_easy_reset(o->curl);
    curl_easy_setopt(o->curl, CURLOPT_URL, o->url);
    if (o->socket)
        curl_easy_setopt(o->curl, CURLOPT_UNIX_SOCKET_PATH, o->socket);
    curl_easy_setopt(o->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(o->curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(o->curl, CURLOPT_NOSIGNAL, 1L);
    /* a name server that does not answer must not hold up the end of the process */
    curl_easy_setopt(o->curl, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(o->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(o->curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(o->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size);
    curl_easy_setopt(o->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(o->curl, CURLOPT_TIMEOUT_MS, (long)OTLP_TIMEOUT_MS);
    curl_easy_setopt(o->curl, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(o->curl, CURLOPT_WRITEDATA, o);
    curl_easy_setopt(o->curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(o->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(o->curl, CURLOPT_XFERINFODATA, o);
}

static void note_outcome(struct otlp *o, bool failed, const char *why, long status)
{
    if (failed && !o->failing)
        log_warn("otlp.export_failed", "url=%s status=%ld message=\"%s\"", o->url, status, why);
    else if (!failed && o->failing)
        log_info("otlp.export_works", "url=%s", o->url);
    o->failing = failed;
}

static enum sent send_request(struct otlp *o, const char *body, size_t size, size_t n)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    long status = 0;
    enum sent sent = SEND_AGAIN;
    headers = curl_slist_append(headers, "Expect:");
    o->answer_size = 0;
    set_options(o, headers, body, size);
    CURLcode code = curl_easy_perform(o->curl);
    curl_easy_getinfo(o->curl, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_OK && status >= 200 && status < 300)
        sent = SENT;
    else if (code == CURLE_OK && status != 429 && status != 502 && status != 503 && status != 504)
        sent = REFUSED;
    note_outcome(o, sent != SENT, curl_easy_strerror(code), status);
    if (sent == SENT) {
        uint64_t rejected = rejected_spans(o);
        rejected = rejected < n ? rejected : n;
        count(&o->counters->exported, n - rejected);
        count(&o->counters->dropped_failed, rejected);
    }
    curl_slist_free_all(headers);
    return sent;
}

/* --- the thread --- */

/* Waits until something changes, at most `ms`; the caller holds the lock. False: the time is over. */
static bool wait_ms(struct otlp *o, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + ms % 1000 * 1000000;
    until.tv_sec += (time_t)(ms / 1000 + ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    return pthread_cond_timedwait(&o->changed, &o->lock, &until) == 0;
}

static void pause_before_next_try(struct otlp *o, int tries)
{
    int64_t until_ms = clock_boot_ms() + (RETRY_MS << (tries - 1));
    pthread_mutex_lock(&o->lock);
    for (int64_t left_ms; !o->ending && (left_ms = until_ms - clock_boot_ms()) > 0;)
        (void)wait_ms(o, left_ms);
    pthread_mutex_unlock(&o->lock);
}

static bool is_ending(struct otlp *o)
{
    pthread_mutex_lock(&o->lock);
    bool ending = o->ending;
    pthread_mutex_unlock(&o->lock);
    return ending;
}

static void send_batch(struct otlp *o, size_t n)
{
    void *ctx = talloc_new(NULL);
    size_t size;
    const char *body = otlp_request(ctx, o->service, o->batch, n, &size);
    enum sent sent = SEND_AGAIN;
    for (int tries = 1; sent == SEND_AGAIN && tries <= OTLP_TRIES && !is_given_up(o); tries++) {
        bool last = is_ending(o); /* a process that ends does not try twice */
        sent = send_request(o, body, size, n);
        if (last)
            break;
        if (sent == SEND_AGAIN && tries < OTLP_TRIES)
            pause_before_next_try(o, tries);
    }
    if (sent != SENT)
        count(&o->counters->dropped_failed, n);
    talloc_free(ctx);
}

/* Takes a batch: when it is full, when OTLP_FLUSH_MS have passed since the first span, or at the end. 0: the
 * end. */
static size_t take_batch(struct otlp *o)
{
    size_t n = 0;
    pthread_mutex_lock(&o->lock);
    while (o->n == 0 && !o->ending)
        pthread_cond_wait(&o->changed, &o->lock);
    int64_t until_ms = clock_boot_ms() + OTLP_FLUSH_MS;
    for (int64_t left_ms; o->n < OTLP_BATCH_MAX && !o->ending && (left_ms = until_ms - clock_boot_ms()) > 0;)
        (void)wait_ms(o, left_ms);
    for (; n < OTLP_BATCH_MAX && o->n > 0; n++, o->n--) {
        o->batch[n] = o->queue[o->first];
        o->first = (o->first + 1) % OTLP_QUEUE_MAX;
    }
    pthread_mutex_unlock(&o->lock);
    return n;
}

static void *export_spans(void *arg)
{
    struct otlp *o = arg;
    size_t n;
    while ((n = take_batch(o)) > 0)
        send_batch(o, n);
    return NULL;
}

/* --- the other threads --- */

/* With the lock held. False: there is no memory or no thread. */
static bool start_thread(struct otlp *o)
{
    if (o->started)
        return true;
    o->queue = o->queue ? o->queue : calloc(OTLP_QUEUE_MAX, sizeof *o->queue);
    o->batch = o->batch ? o->batch : calloc(OTLP_BATCH_MAX, sizeof *o->batch);
    o->started = o->curl && o->queue && o->batch && thread_start(&o->thread, export_spans, o);
    return o->started;
}

void otlp_add(struct otlp *o, const struct otlp_span *span)
{
    if (!o || !trace_is_recorded(&span->trace))
        return;
    pthread_mutex_lock(&o->lock);
    if (!start_thread(o) || o->n == OTLP_QUEUE_MAX) {
        count(&o->counters->dropped_full, 1);
    } else if (!spans_share_take(&o->share, &span->workspace_id, clock_boot_ms())) {
        count(&o->counters->dropped_limit, 1);
    } else {
        o->queue[(o->first + o->n++) % OTLP_QUEUE_MAX] = *span;
        if (o->n == 1 || o->n == OTLP_BATCH_MAX)
            pthread_cond_signal(&o->changed);
    }
    pthread_mutex_unlock(&o->lock);
}

bool otlp_decide(const struct otlp *o, const id *execution, bool (*caller_may)(void *arg), void *arg,
                 struct trace_context *t)
{
    bool has_caller = trace_is_set(t);
    if (!o || (has_caller && !(t->flags & TRACE_SAMPLED)))
        return false;
    if (!trace_ratio_takes(execution, o->millionths) && !(has_caller && caller_may && caller_may(arg)))
        return false;
    if (!has_caller)
        *t = trace_of_root(execution);
    t->flags |= TRACE_SAMPLED | TRACE_RECORDED;
    return true;
}

const struct otlp_counters *otlp_counters(const struct otlp *o)
{
    static const struct otlp_counters none;
    return o ? o->counters : &none;
}

size_t otlp_queued(struct otlp *o)
{
    if (!o)
        return 0;
    pthread_mutex_lock(&o->lock);
    size_t n = o->n;
    pthread_mutex_unlock(&o->lock);
    return n;
}

struct otlp *otlp_new(void *ctx, const struct config *config, const char *service,
                      struct otlp_counters *counters)
{
    const char *endpoint = config->otlp.endpoint;
    pthread_condattr_t monotonic;
    if (!*endpoint)
        return NULL;
    struct otlp *o = talloc_zero(ctx, struct otlp);
    bool is_unix = strncmp(endpoint, "unix:", UNIX_PREFIX) == 0;
    size_t n = strlen(endpoint);
    o->service = service;
    o->counters = counters ? counters : &o->own;
    o->socket = is_unix ? talloc_strdup(o, endpoint + UNIX_PREFIX) : NULL;
    o->url = is_unix ? "http://localhost/v1/traces"
                     : talloc_asprintf(o, "%s%sv1/traces", endpoint, endpoint[n - 1] == '/' ? "" : "/");
    (void)trace_parse_ratio(config->otlp.sample_ratio, &o->millionths); /* checked as a setting */
    o->share.per_minute = (uint32_t)config->otlp.spans_per_minute;
    pthread_mutex_init(&o->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&o->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    o->curl = curl_easy_init(); /* now: it may load a TLS library */
    return o;
}

void otlp_stop(struct otlp *o)
{
    if (!o)
        return;
    atomic_store(&o->give_up_ms, clock_boot_ms() + OTLP_STOP_MS);
    pthread_mutex_lock(&o->lock);
    o->ending = true;
    pthread_cond_signal(&o->changed);
    pthread_mutex_unlock(&o->lock);
    if (o->started)
        pthread_join(o->thread, NULL);
    if (o->curl)
        curl_easy_cleanup(o->curl);
    free(o->queue);
    free(o->batch);
    pthread_cond_destroy(&o->changed);
    pthread_mutex_destroy(&o->lock);
    talloc_free(o);
}
