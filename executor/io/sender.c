#include "executor/io/sender.h"

#include <errno.h>
#include <inttypes.h>
#include <talloc.h>

#include "base/log.h"

bool sender_start(struct sender *s, void *ctx, const struct http_client_settings *client,
                  size_t max_in_flight, const struct thread_queue_settings *queue, const char *worker)
{
    struct http_client_settings settings = *client;
    const char *why = "";
    s->sending = talloc_new(ctx);
    settings.max_in_flight = 2 * max_in_flight;
    s->client = http_client_new(ctx, s->exec->base, s->exec->timers, &settings, &why);
    s->db = db_new(NULL, s->exec->db_settings);
    s->queue = s->client ? thread_queue_new(ctx, s->exec->base, queue) : NULL;
    if (s->queue && thread_queue_start(s->queue))
        return true;
    log_error("sender.start_failed", "worker=%s errno=%d message=\"%s\"", worker, errno, why);
    talloc_free(s->db);
    return false;
}

void sender_take(struct sender *s, void *job)
{
    talloc_steal(s->sending, job);
    s->sending_n++;
}

void sender_return(struct sender *s, struct thread_job *job)
{
    talloc_steal(NULL, job);
    thread_queue_submit(s->queue, job);
    if (--s->sending_n == 0 && atomic_load(&s->ended))
        s->exec->on_work_ended(s->exec);
}

bool sender_is_over(const struct sender *s)
{
    return atomic_load(&s->ended) || thread_queue_is_ending(s->queue);
}

void sender_end(struct sender *s)
{
    atomic_store(&s->ended, true);
}

bool sender_is_idle(const struct sender *s)
{
    return s->sending_n == 0;
}

void sender_stop(struct sender *s)
{
    if (!s->queue)
        return;
    sender_end(s);
    thread_queue_stop(s->queue);
    s->queue = NULL;
    TALLOC_FREE(s->client); /* its calls refer to the jobs */
    TALLOC_FREE(s->sending);
}

const char *sender_status_error(void *ctx, const char *who, int status)
{
    const char *redirect = status >= 300 && status < 400 ? "; redirects are not followed" : "";
    return talloc_asprintf(ctx, "The %s answered %d%s.", who, status, redirect);
}

const char *sender_timeout_error(void *ctx, const char *who, const struct sender *s)
{
    return talloc_asprintf(ctx, "The %s did not answer within %" PRId64 " s.", who, s->timeout_ms / 1000);
}
