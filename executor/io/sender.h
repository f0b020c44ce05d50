/* Requests that a worker thread decides on and the loop sends: the thread hands jobs over
 * (service/thread_queue.h), the loop sends their requests by a client of the worker's own, and hands the
 * answers back to the thread. Embedded in the worker.
 *
 * Loop thread only, but for sender_is_over and what is marked. */
#pragma once

#include <stdatomic.h>

#include "executor/context/executor.h"
#include "executor/io/http_client.h"
#include "service/thread_queue.h"

struct sender {
    struct executor *exec;
    struct http_client *client;
    struct thread_queue *queue; /* NULL: it was stopped */
    atomic_bool ended;
    /* The jobs whose requests are in flight. */
    void *sending;
    size_t sending_n;
    int64_t timeout_ms;
    /* The thread's own connection, which it frees when it ends. */
    struct db *db;
};

/* Opens the client, then starts the thread with `queue`. All is of `ctx`, the talloc context of the worker.
 * `client`: settings of the client; the thread limits what is in flight, so that the client's own share for
 * one host, a half, must not: `max_in_flight` is that of the thread. False: it cannot be started (logged with
 * the name of the worker). */
bool sender_start(struct sender *s, void *ctx, const struct http_client_settings *client,
                  size_t max_in_flight, const struct thread_queue_settings *queue,
                  const char *worker) WARN_UNUSED;
/* The job's requests are sent from now on; it is of `sending`. */
void sender_take(struct sender *s, void *job);
/* All its answers are there: back to the thread. The last one after sender_end calls the executor's
 * on_work_ended. */
void sender_return(struct sender *s, struct thread_job *job);
/* Any thread: nothing more is to be begun. */
bool sender_is_over(const struct sender *s);
void sender_end(struct sender *s);
/* No request is in flight. */
bool sender_is_idle(const struct sender *s);
/* Ends the thread, and cancels the requests in flight. */
void sender_stop(struct sender *s);
/* What is wrong with a status that is none of success, of `who` ("endpoint"). */
const char *sender_status_error(void *ctx, const char *who, int status);
const char *sender_timeout_error(void *ctx, const char *who, const struct sender *s);
