/* Jobs that the loop thread hands to one worker thread, which hands them back when they are finished.
 *
 * A job is a separate talloc context whose struct begins with a struct thread_job. It belongs to the queue
 * from thread_queue_submit until `on_finished` gets it: only one thread touches it at a time, so a job needs
 * no lock. Jobs start in the order in which they were submitted, urgent ones before all others, and they come
 * back on the loop in the order in which the thread returned them.
 *
 * The thread runs with all signals blocked, so that signals are delivered to the loop thread. The loop is
 * woken by an eventfd, so the event base needs no locks. */
#pragma once

#include <event2/event.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "base/err.h"

struct thread_job {
    STAILQ_ENTRY(thread_job) next;
};
STAILQ_HEAD(thread_job_list, thread_job);

struct thread_queue;

struct thread_queue_settings {
    /* The thread's function. It returns soon after thread_queue_is_ending() is true. */
    void (*run)(struct thread_queue *q, void *arg);
    /* On the loop: a job that the thread has returned; it belongs to the callee. */
    void (*on_finished)(struct thread_job *job, void *arg);
    void *arg;
};

/* Starts a thread with all signals blocked, for threads that use no queue. False if it cannot be started. */
bool thread_start(pthread_t *thread_r, void *(*run)(void *arg), void *arg) WARN_UNUSED;

/* --- the loop's side --- */

/* NULL (and errno) if the eventfd or its event cannot be made. The settings are copied. */
struct thread_queue *thread_queue_new(void *ctx, struct event_base *base,
                                      const struct thread_queue_settings *settings);
/* Starts the thread, which may use the queue's pointer wherever the owner has stored it. False (and errno):
 * it cannot be started, and the queue is freed. */
bool thread_queue_start(struct thread_queue *q) WARN_UNUSED;
/* Asks the thread to end and waits for it. Jobs that were submitted, and those that will be, are kept until
 * thread_queue_stop. */
void thread_queue_end(struct thread_queue *q);
/* thread_queue_end, unless it was called before; frees all jobs that have not come back, and the queue. */
void thread_queue_stop(struct thread_queue *q);
void thread_queue_submit(struct thread_queue *q, struct thread_job *job);
void thread_queue_submit_urgent(struct thread_queue *q, struct thread_job *job);
/* Makes the thread's next or current thread_queue_wait_any() return, although there is no job. Any thread. */
void thread_queue_wake(struct thread_queue *q);
/* Jobs that the thread has not taken yet. Any thread. */
size_t thread_queue_length(struct thread_queue *q);

/* --- the thread's side --- */

/* Waits for a job and takes it. NULL: the queue is ending (jobs that are still waiting are left to
 * thread_queue_stop), or timeout_ms passed; a negative timeout_ms waits without limit. */
struct thread_job *thread_queue_next(struct thread_queue *q, long timeout_ms);
/* Waits for a job, a wake-up or the end, at most timeout_ms; a negative timeout_ms waits without limit. */
void thread_queue_wait_any(struct thread_queue *q, long timeout_ms);
/* Waits for an urgent job or the end, at most timeout_ms. Other jobs and wake-ups do not end the wait. */
void thread_queue_wait_urgent(struct thread_queue *q, long timeout_ms);
/* Appends all waiting jobs of one sort to `list`, without waiting. */
void thread_queue_take_all(struct thread_queue *q, struct thread_job_list *list);
void thread_queue_take_urgent(struct thread_queue *q, struct thread_job_list *list);
/* Hands a job to `on_finished`: a submitted one that is finished, or one that the thread made itself. */
void thread_queue_return(struct thread_queue *q, struct thread_job *job);
bool thread_queue_is_ending(struct thread_queue *q);
