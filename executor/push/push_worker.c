#include "executor/push/push_worker.h"

#include <inttypes.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "executor/io/sender.h"
#include "push/batch.h"
#include "service/worker_step.h"
#include "webhook/sign.h"

enum {
    /* How long a row that is numbered waits at most, if its destination is free. */
    POLL_MS = 500,
    LEFT_LOG_MS = 60000,
};

struct push_worker {
    struct sender sender;

    /* --- the thread's own --- */
    const uint8_t *key;
    int64_t pause_max_ms;
    struct worker_step claim;
    /* Batches that were claimed and whose results are not recorded yet. */
    size_t claimed_n;
    /* When it may be logged again that something is left to programs of a later version. */
    int64_t left_log_ms;
};

/* A batch on its way from the thread to the loop and back. */
struct push_job {
    struct thread_job job; /* first */
    struct push_worker *worker;
    struct push_batch *batch;
    struct http_call *call;
    struct timer timer;
};

/* --- the loop --- */

static int job_destroy(struct push_job *job)
{
    timer_clear(job->worker->sender.exec->timers, &job->timer);
    return 0;
}

static void end_job(struct push_job *job)
{
    struct push_worker *w = job->worker;
    job->call = NULL;
    timer_clear(w->sender.exec->timers, &job->timer);
    talloc_set_destructor(job, NULL);
    failpoint("push.answered");
    sender_return(&w->sender, &job->job);
}

static void on_answer(void *arg, const struct http_response *a)
{
    struct push_job *job = arg;
    struct push_batch *b = job->batch;
    b->status = a->error ? 0 : a->status;
    if (a->error)
        b->error = talloc_strndup(b, a->error, PUSH_ERROR_MAX);
    else if (push_outcome_of(a->status) != PUSH_ACCEPTED)
        b->error = sender_status_error(b, "destination", a->status);
    b->retry_after_ms = b->error && !a->error ? http_retry_after_ms(a) : 0;
    b->answer_size = a->body_size < PUSH_ANSWER_MAX ? a->body_size : PUSH_ANSWER_MAX;
    b->answer = !a->error && b->answer_size > 0 ? talloc_memdup(b, a->body, b->answer_size) : NULL;
    end_job(job);
}

static void on_timeout(void *arg)
{
    struct push_job *job = arg;
    http_cancel(job->call);
    job->batch->error = sender_timeout_error(job->batch, "destination", &job->worker->sender);
    end_job(job);
}

/* Returns the number of headers. The texts are of ctx. */
static int authorize(void *ctx, const struct push_batch *b, struct http_header *headers, int n)
{
    char signature[WEBHOOK_SIGNATURE_SIZE];
    int64_t now_s = clock_wall_ms() / 1000;
    const char *message = talloc_asprintf(ctx, "push_%s_%" PRId64, b->push_id.text, b->last);
    if (b->auth == PUSH_AUTH_BEARER) {
        headers[n++] = (struct http_header){"Authorization", talloc_asprintf(ctx, "Bearer %s", b->secret)};
    } else if (b->auth == PUSH_AUTH_SIGNATURE &&
               webhook_sign(b->secret, message, now_s, b->body, b->body_size, signature)) {
        headers[n++] = (struct http_header){"webhook-id", message};
        headers[n++] = (struct http_header){"webhook-timestamp", talloc_asprintf(ctx, "%" PRId64, now_s)};
        headers[n++] = (struct http_header){"webhook-signature", talloc_strdup(ctx, signature)};
    }
    return n;
}

static void on_batch(struct thread_job *thread_job, void *arg)
{
    struct push_worker *w = arg;
    struct push_job *job = (struct push_job *)thread_job;
    struct push_batch *b = job->batch;
    void *scratch = talloc_new(NULL);
    struct http_header headers[4] = {{"Content-Type", "application/cloudevents-batch+json"}};
    job->timer = (struct timer){.fire = on_timeout, .arg = job};
    talloc_set_destructor(job, job_destroy);
    sender_take(&w->sender, job);
    struct http_request request = {.method = "POST",
                                   .url = b->url,
                                   .headers = headers,
                                   .header_count = authorize(scratch, b, headers, 1),
                                   .body = b->body,
                                   .body_size = b->body_size};
    job->call = http_send_once(w->sender.client, &b->push_id, &request, PUSH_ANSWER_MAX, on_answer, job);
    timer_set(w->sender.exec->timers, &job->timer, clock_boot_ms() + w->sender.timeout_ms);
    talloc_free(scratch);
}

/* --- the thread --- */

/* A result that cannot be recorded is dropped: the rows are sent again when the claim ends. */
static void record(struct push_worker *w, struct push_job *job)
{
    const struct push_batch *b = job->batch;
    enum err e = push_finish(w->sender.db, b, w->pause_max_ms);
    if (e != OK)
        log_warn("push.record_failed", "destination=%s error=%s", b->name, err_name(e));
    else if (b->error)
        log_warn("push.failed", "destination=%s rows=%zu status=%d message=\"%s\"", b->name, b->rows_n,
                 b->status, b->error);
    w->claimed_n--;
    talloc_free(job);
}

static void record_results(struct push_worker *w)
{
    struct thread_job_list done = STAILQ_HEAD_INITIALIZER(done);
    thread_queue_take_all(w->sender.queue, &done);
    for (struct thread_job *j; (j = STAILQ_FIRST(&done));) {
        STAILQ_REMOVE_HEAD(&done, next);
        record(w, (struct push_job *)j);
    }
}

static void hand_over(struct push_worker *w, struct push_batch *b)
{
    struct push_job *job = talloc_zero(NULL, struct push_job);
    job->worker = w;
    job->batch = talloc_steal(job, b);
    w->claimed_n++;
    if (b->auth != PUSH_AUTH_NONE && !b->secret) {
        b->error = "The secret cannot be decrypted: executors need the key of secrets.key_file.";
        record(w, job);
        return;
    }
    failpoint("push.claimed");
    thread_queue_return(w->sender.queue, &job->job);
}

static enum err work_once(struct push_worker *w, bool *more_r)
{
    struct push_batch *list[PUSHES_MAX];
    struct push_round round;
    void *ctx = talloc_new(NULL);
    enum err e =
        push_claim(w->sender.db, ctx, w->key, w->sender.timeout_ms, PUSHES_MAX - w->claimed_n, list, &round);
    for (size_t i = 0; i < round.n; i++)
        hand_over(w, list[i]);
    if (round.left && clock_boot_ms() >= w->left_log_ms) {
        log_warn("push.left", "message=\"a program of a later version has to send what follows\"");
        w->left_log_ms = clock_boot_ms() + LEFT_LOG_MS;
    }
    *more_r = round.more;
    talloc_free(ctx);
    return e;
}

static void run_pushes(struct thread_queue *q, void *arg)
{
    struct push_worker *w = arg;
    while (!thread_queue_is_ending(q)) {
        bool more = false;
        int64_t now_ms = clock_boot_ms();
        record_results(w);
        if (!sender_is_over(&w->sender) && w->claimed_n < PUSHES_MAX && worker_step_is_due(&w->claim, now_ms))
            worker_step_end(&w->claim, work_once(w, &more), clock_boot_ms());
        if (!more)
            thread_queue_wait_any(q, POLL_MS);
    }
    record_results(w);
    talloc_free(w->sender.db);
}

struct push_worker *push_worker_start(void *ctx, struct executor *exec,
                                      const struct http_client_settings *client)
{
    struct push_worker *w = talloc_zero(ctx, struct push_worker);
    struct thread_queue_settings queue = {.run = run_pushes, .on_finished = on_batch, .arg = w};
    w->sender.exec = exec;
    w->sender.timeout_ms = exec->config->push.timeout_s * 1000;
    w->key = exec->secret_key;
    w->pause_max_ms = exec->config->push.pause_max_s * 1000;
    w->claim = (struct worker_step){.worker = "pushes", .name = "claim"};
    if (sender_start(&w->sender, w, client, PUSHES_MAX, &queue, "pushes"))
        return w;
    talloc_free(w);
    return NULL;
}

void push_worker_end(struct push_worker *w)
{
    if (w)
        sender_end(&w->sender);
}

bool push_worker_is_idle(const struct push_worker *w)
{
    return !w || sender_is_idle(&w->sender);
}

void push_worker_stop(struct push_worker *w)
{
    if (w)
        sender_stop(&w->sender);
}
