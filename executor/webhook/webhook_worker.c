#include "executor/webhook/webhook_worker.h"
#include "otlp/otlp.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/tally.h"
#include "executor/io/sender.h"
#include "service/worker_step.h"
#include "webhook/fanout.h"
#include "webhook/lane.h"
#include "webhook/sign.h"

enum {
    /* How long a message waits for its first try at most, if the process has places. */
    POLL_MS = 200,
    /* Lanes whose results are recorded in one transaction. */
    RECORD_MAX = 64,
    EXPIRE_MS = 60000,
    /* How often claims of lost executors are looked for. */
    RELEASE_MS = 2000,
    /* How often messages that were set aside are tried again; the first time soon after the start. */
    RETRY_ASIDE_MS = 3600000,
    /* A step that has failed so often in a row, even with errors that may pass, treats each workspace by
       itself. */
    APART_AFTER = 3,
    /* ... and for how long: whichever is at fault does not delay the others again and again. */
    APART_MS = 600000,
    ERROR_TEXT_MAX = 500,
};

/* What the thread does in turn. Each step fails by itself (service/worker_step.h). */
enum webhook_step {
    STEP_RELEASE,
    STEP_FAN_OUT,
    STEP_CLAIM,
    STEP_CLAIM_FAILING,
    STEP_RETRY_ASIDE,
    STEP_EXPIRE_DELIVERIES,
    STEP_EXPIRE_MESSAGES,
    STEP_EXPIRE_LANES,
    STEPS,
};

struct webhook_worker {
    struct sender sender;

    /* --- the thread's own --- */
    const uint8_t *key;
    struct webhook_retries retries;
    int64_t pending_max, keep_ms;
    uint64_t executor;
    struct worker_step steps[STEPS];
    /* When a step that is not taken each time is due (clock_boot_ms). */
    int64_t due_ms[STEPS];
    /* Until when a step treats each workspace or lane by itself (clock_boot_ms). */
    int64_t apart_until_ms[STEPS];
    struct webhook_fanout fanout;
    size_t max_in_flight;
    /* Requests that were claimed and whose results are not recorded yet; those of failing lanes, and of each
     * workspace, too. */
    size_t in_flight, failing;
    struct webhook_shares *shares;
};

struct lane_job;

/* A request in flight. */
struct
try {
    struct lane_job *job;
    struct webhook_send *send;
    struct http_call *call;
    struct timer timer;
    /* when it was handed to the HTTP client (clock_boot_ms) */
    int64_t began_ms;
    /* the same as wall time, if a trace names it */
    int64_t began_wall_ms;
};

/* A lane on its way from the thread to the loop and back. */
struct lane_job {
    struct thread_job job; /* first */
    struct webhook_worker *worker;
    struct webhook_lane *lane;
    struct try *tries;
    size_t open;
};

/* --- the loop --- */

static int tries_destroy(struct try *tries)
{
    struct lane_job *job = tries[0].job;
    for (size_t i = 0; i < job->lane->sends_n; i++)
        timer_clear(job->worker->sender.exec->timers, &tries[i].timer);
    return 0;
}

/* Each message of an execution has spans of its own, and so has each try. */
static struct trace_key delivery_key(const struct webhook_send *s)
{
    return (struct trace_key){TRACE_SPAN_DELIVERY, (int)(uint32_t)id_hash(&s->delivery_id), 0, s->tries + 1};
}

static void trace_delivery(const struct try *t)
{
    const struct webhook_send *s = t->send;
    if (!t->job->worker->sender.exec->otlp || !trace_is_recorded(&s->trace))
        return;
    struct otlp_span span = {
        .trace = s->trace,
        .kind = OTLP_CLIENT,
        .start_us = t->began_wall_ms * 1000,
        .end_us = clock_wall_ms() * 1000,
        .failed = !s->delivered,
        .workspace_id = t->job->lane->workspace_id,
        .execution_id = s->execution_id,
    };
    trace_span_id(&s->execution_id, delivery_key(s), span.trace.span_id);
    trace_span_id(&s->execution_id, (struct trace_key){.span = TRACE_SPAN_RUN}, span.parent);
    otlp_set_name(&span, "webhook");
    otlp_set_reason(&span, s->delivered ? "" : "not_delivered");
    otlp_add_number(&span, "millrace.try", s->tries + 1);
    if (s->status)
        otlp_add_number(&span, "http.response.status_code", s->status);
    otlp_add(t->job->worker->sender.exec->otlp, &span);
}

static void end_try(struct try *t)
{
    struct lane_job *job = t->job;
    struct webhook_worker *w = job->worker;
    trace_delivery(t);
    t->call = NULL;
    tally_time(MEASURE_WEBHOOK, t->send->delivered ? 1 : 2, 0, clock_boot_ms() - t->began_ms);
    timer_clear(w->sender.exec->timers, &t->timer);
    if (--job->open > 0)
        return;
    TALLOC_FREE(job->tries);
    failpoint("webhook.answered");
    sender_return(&w->sender, &job->job);
}

static void on_answer(void *arg, const struct http_response *a)
{
    struct try *t = arg;
    struct webhook_send *s = t->send;
    s->status = a->status;
    s->delivered = !a->error && a->status >= 200 && a->status < 300;
    if (a->error)
        s->error = talloc_strndup(t->job->lane, a->error, ERROR_TEXT_MAX);
    else if (!s->delivered)
        s->error = sender_status_error(t->job->lane, "endpoint", a->status);
    if (!a->error && !s->delivered)
        s->retry_after_ms = http_retry_after_ms(a);
    s->answer_size = a->body_size < WEBHOOK_ANSWER_MAX ? a->body_size : WEBHOOK_ANSWER_MAX;
    s->answer = s->answer_size > 0 ? talloc_memdup(t->job->lane, a->body, s->answer_size) : NULL;
    end_try(t);
}

static void on_timeout(void *arg)
{
    struct try *t = arg;
    http_cancel(t->call);
    t->send->error = sender_timeout_error(t->job->lane, "endpoint", &t->job->worker->sender);
    end_try(t);
}

static void on_sent(void *arg)
{
    struct try *t = arg;
    timer_set(t->job->worker->sender.exec->timers, &t->timer,
              clock_boot_ms() + t->job->worker->sender.timeout_ms);
}

/* One signature for each secret that is valid, separated by a space. */
static const char *signatures(void *ctx, const struct webhook_lane *lane, const struct webhook_send *s,
                              const char *message, int64_t now_s)
{
    char one[WEBHOOK_SIGNATURE_SIZE];
    char *text = talloc_strdup(ctx, "");
    const char *secrets[] = {lane->secret, lane->old_secret};
    for (int i = 0; i < 2; i++) {
        if (secrets[i] && webhook_sign(secrets[i], message, now_s, s->body, s->body_size, one))
            text = talloc_asprintf_append_buffer(text, "%s%s", *text ? " " : "", one);
    }
    return text;
}

static void send_one(struct lane_job *job, size_t i)
{
    struct webhook_lane *lane = job->lane;
    struct try *t = &job->tries[i];
    void *scratch = talloc_new(NULL);
    int64_t now_s = clock_wall_ms() / 1000;
    const char *message = webhook_message_id(scratch, &lane->sends[i].outbox_id);
    *t = (struct try){.job = job,
                      .send = &lane->sends[i],
                      .timer = {.fire = on_timeout, .arg = t},
                      .began_ms = clock_boot_ms()};
    char trace[TRACE_PARENT_TEXT];
    struct http_header headers[6] = {
        {"Content-Type", "application/json"},
        {"webhook-id", message},
        {"webhook-timestamp", talloc_asprintf(scratch, "%" PRId64, now_s)},
        {"webhook-signature", signatures(scratch, lane, t->send, message, now_s)},
    };
    struct http_request request = {.method = "POST",
                                   .url = lane->urls[i],
                                   .headers = headers,
                                   .header_count = 4,
                                   .body = t->send->body,
                                   .body_size = t->send->body_size};
    if (trace_is_set(&t->send->trace)) {
        const struct trace_context below =
            trace_below(&t->send->trace, &t->send->execution_id, delivery_key(t->send));
        t->began_wall_ms = clock_wall_ms();
        trace_parent_text(&below, trace);
        headers[request.header_count++] = (struct http_header){"traceparent", trace};
        if (t->send->trace_state)
            headers[request.header_count++] = (struct http_header){"tracestate", t->send->trace_state};
    }
    t->call = http_send_once(job->worker->sender.client, &lane->workspace_id, &request, WEBHOOK_ANSWER_MAX,
                             on_answer, t);
    if (!http_notify_sent(t->call, on_sent))
        on_sent(t);
    talloc_free(scratch);
}

static void on_lane(struct thread_job *thread_job, void *arg)
{
    struct webhook_worker *w = arg;
    struct lane_job *job = (struct lane_job *)thread_job;
    sender_take(&w->sender, job);
    job->open = job->lane->sends_n;
    job->tries = talloc_zero_array(job, struct try, job->open);
    for (size_t i = 0; i < job->lane->sends_n; i++)
        job->tries[i].job = job;
    talloc_set_destructor(job->tries, tries_destroy);
    for (size_t i = 0; i < job->lane->sends_n; i++)
        send_one(job, i);
}

/* --- the thread --- */

static int compare_finishes(const void *a, const void *b)
{
    const struct webhook_finish *x = a, *y = b;
    return strcmp(x->lane->lane_id.text, y->lane->lane_id.text);
}

static void forget_lane(struct webhook_worker *w, const struct webhook_lane *lane)
{
    w->in_flight -= lane->sends_n;
    w->failing -= lane->failures > 0 ? lane->sends_n : 0;
    webhook_share_remove(w->shares, &lane->workspace_id, lane->sends_n);
}

/* A result that cannot be recorded is dropped: the delivery is sent again when the claim ends. */
static void record(struct webhook_worker *w, struct webhook_finish *f, size_t n)
{
    enum err e = webhook_lanes_finish(w->sender.db, &w->retries, f, n);
    if (e != OK && n > 1) { /* one of them may be at fault */
        for (size_t i = 0; i < n; i++)
            record(w, &f[i], 1);
        return;
    }
    if (e != OK)
        log_warn("webhook.record_failed", "lane=%s error=%s", f[0].lane->lane_id.text, err_name(e));
    for (size_t i = 0; i < n; i++) {
        if (f[i].disabled)
            log_info("webhook.disabled", "webhook=%s workspace=%s", f[i].lane->webhook_id.text,
                     f[i].lane->workspace_id.text);
    }
}

static void record_results(struct webhook_worker *w)
{
    struct thread_job_list done = STAILQ_HEAD_INITIALIZER(done);
    thread_queue_take_all(w->sender.queue, &done);
    while (!STAILQ_EMPTY(&done)) {
        struct webhook_finish f[RECORD_MAX];
        struct lane_job *jobs[RECORD_MAX];
        size_t n = 0;
        for (struct thread_job *j; n < RECORD_MAX && (j = STAILQ_FIRST(&done)); n++) {
            STAILQ_REMOVE_HEAD(&done, next);
            jobs[n] = (struct lane_job *)j;
            f[n] = (struct webhook_finish){.lane = jobs[n]->lane};
        }
        qsort(f, n, sizeof f[0], compare_finishes);
        record(w, f, n);
        for (size_t i = 0; i < n; i++) {
            forget_lane(w, jobs[i]->lane);
            talloc_free(jobs[i]);
        }
    }
}

static void hand_over(struct webhook_worker *w, struct webhook_lane *lane)
{
    if (lane->sends_n == 0) {
        talloc_free(lane);
        return;
    }
    struct lane_job *job = talloc_zero(NULL, struct lane_job);
    job->worker = w;
    job->lane = talloc_steal(job, lane);
    w->in_flight += lane->sends_n;
    w->failing += lane->failures > 0 ? lane->sends_n : 0;
    failpoint("webhook.claimed");
    thread_queue_return(w->sender.queue, &job->job);
}

/* *more_r: there may be more to claim. */
static enum err claim_lanes(struct webhook_worker *w, bool failing, bool apart, bool *more_r)
{
    size_t free = w->max_in_flight > w->in_flight ? w->max_in_flight - w->in_flight : 0;
    size_t half = (w->max_in_flight + 1) / 2;
    size_t failing_free = half > w->failing ? half - w->failing : 0;
    struct webhook_claim claim = {.failing = failing,
                                  .places = failing && failing_free < free ? failing_free : free,
                                  .shares = w->shares,
                                  .key = w->key,
                                  .timeout_ms = w->sender.timeout_ms,
                                  .executor = w->executor,
                                  .apart = apart};
    struct webhook_lane **lanes;
    size_t n;
    if (claim.places == 0)
        return OK;
    void *ctx = talloc_new(NULL);
    enum err e = webhook_lanes_claim(w->sender.db, ctx, &claim, &lanes, &n);
    for (size_t i = 0; e == OK && i < n; i++)
        hand_over(w, lanes[i]);
    *more_r = *more_r || (e == OK && n > 0);
    talloc_free(ctx);
    return e;
}

static enum err release_lost(struct webhook_worker *w)
{
    uint64_t n;
    enum err e = webhook_release_lost(w->sender.db, w->sender.timeout_ms, &n);
    if (n > 0)
        log_info("webhook.claims_released", "lanes=%" PRIu64, n);
    return e;
}

static enum err fan_out(struct webhook_worker *w, bool apart, bool *more_r)
{
    enum err e = webhook_fan_out(w->sender.db, w->pending_max, apart, &w->fanout);
    *more_r = e == OK && w->fanout.has_more;
    return e;
}

/* Of a step that is taken now and then: `n` rows were deleted, and there may be more. */
static enum err expire(struct webhook_worker *w, enum webhook_step step, bool *more_r)
{
    uint64_t n = 0;
    enum err e = step == STEP_EXPIRE_DELIVERIES ? webhook_expire_deliveries(w->sender.db, w->keep_ms, &n)
                 : step == STEP_EXPIRE_MESSAGES ? webhook_expire_messages(w->sender.db, w->keep_ms, &n)
                                                : webhook_expire_lanes(w->sender.db, &n);
    *more_r = e == OK && n > 0;
    return e;
}

/* *more_r: there may be more to do at once. */
static enum err take_step(struct webhook_worker *w, enum webhook_step step, bool *more_r)
{
    bool apart = clock_boot_ms() < w->apart_until_ms[step];
    switch (step) {
    case STEP_RELEASE:
        return release_lost(w);
    case STEP_FAN_OUT:
        return fan_out(w, apart, more_r);
    case STEP_CLAIM:
    case STEP_CLAIM_FAILING:
        return claim_lanes(w, step == STEP_CLAIM_FAILING, apart, more_r);
    case STEP_RETRY_ASIDE:
        return webhook_retry_set_aside(w->sender.db, &w->fanout, more_r);
    default:
        return expire(w, step, more_r);
    }
}

static const struct {
    const char *name;
    /* 0: each time */
    int64_t every_ms;
} steps[STEPS] = {
    [STEP_RELEASE] = {"release_lost", RELEASE_MS},
    [STEP_FAN_OUT] = {"fan_out", 0},
    [STEP_CLAIM] = {"claim", 0},
    [STEP_CLAIM_FAILING] = {"claim_failing", 0},
    [STEP_RETRY_ASIDE] = {"retry_set_aside", RETRY_ASIDE_MS},
    [STEP_EXPIRE_DELIVERIES] = {"expire_deliveries", EXPIRE_MS},
    [STEP_EXPIRE_MESSAGES] = {"expire_messages", EXPIRE_MS},
    [STEP_EXPIRE_LANES] = {"expire_lanes", EXPIRE_MS},
};

/* True: there may be more to do at once. */
static bool work_once(struct webhook_worker *w)
{
    bool any_more = false;
    for (int i = 0; i < STEPS && !sender_is_over(&w->sender); i++) {
        bool more = false;
        int64_t now_ms = clock_boot_ms();
        if (now_ms < w->due_ms[i] || !worker_step_is_due(&w->steps[i], now_ms))
            continue;
        enum err e = take_step(w, (enum webhook_step)i, &more);
        now_ms = clock_boot_ms();
        worker_step_end(&w->steps[i], e, now_ms);
        if (w->steps[i].failures >= APART_AFTER)
            w->apart_until_ms[i] = now_ms + APART_MS;
        w->due_ms[i] = more ? 0 : now_ms + steps[i].every_ms;
        any_more = any_more || (more && steps[i].every_ms == 0);
    }
    return any_more;
}

static void run_webhooks(struct thread_queue *q, void *arg)
{
    struct webhook_worker *w = arg;
    while (!thread_queue_is_ending(q)) {
        record_results(w);
        if (sender_is_over(&w->sender) || !work_once(w))
            thread_queue_wait_any(q, POLL_MS);
    }
    record_results(w);
    talloc_free(w->sender.db);
}

struct webhook_worker *webhook_worker_start(void *ctx, struct executor *exec,
                                            const struct http_client_settings *client, const uint8_t *key,
                                            uint64_t executor)
{
    struct webhook_worker *w = talloc_zero(ctx, struct webhook_worker);
    struct thread_queue_settings queue = {.run = run_webhooks, .on_finished = on_lane, .arg = w};
    struct http_client_settings settings = *client;
    w->sender.exec = exec;
    w->key = key;
    w->max_in_flight = (size_t)exec->config->webhooks.max_in_flight;
    w->keep_ms = exec->config->webhooks.keep_days * 24 * 3600 * 1000;
    w->sender.timeout_ms = exec->config->webhooks.timeout_seconds * 1000;
    w->pending_max = exec->config->webhooks.pending_max;
    (void)retry_schedule_parse(exec->config->webhooks.retry_seconds,
                               &w->retries.schedule); /* checked as a setting */
    w->retries.pause_max_ms = exec->config->webhooks.pause_max_seconds * 1000;
    w->executor = executor;
    for (int i = 0; i < STEPS; i++)
        w->steps[i] = (struct worker_step){.worker = "webhooks", .name = steps[i].name};
    w->shares = webhook_shares_new(w);
    /* The worker shares the places; the client's rules add none. */
    settings.workspace_max = settings.workspace_guaranteed = (struct share_limit){.of = NULL};
    if (sender_start(&w->sender, w, &settings, w->max_in_flight, &queue, "webhooks"))
        return w;
    talloc_free(w);
    return NULL;
}

void webhook_worker_end(struct webhook_worker *w)
{
    if (w)
        sender_end(&w->sender);
}

bool webhook_worker_is_idle(const struct webhook_worker *w)
{
    return !w || sender_is_idle(&w->sender);
}

void webhook_worker_stop(struct webhook_worker *w)
{
    if (w)
        sender_stop(&w->sender);
}
