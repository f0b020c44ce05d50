#include "service/thread_queue.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <talloc.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

struct thread_queue {
    struct thread_queue_settings settings;
    pthread_t thread;
    int fd;
    struct event *event;

    /* Protects everything below. */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* on CLOCK_MONOTONIC */
    struct thread_job_list urgent, waiting, finished;
    size_t length; /* of urgent and waiting */
    bool woken, ending;
    /* the owner's: the thread was joined */
    bool ended;
};

static void *thread_queue_main(void *arg)
{
    struct thread_queue *q = arg;
    q->settings.run(q, q->settings.arg);
    return NULL;
}

bool thread_start(pthread_t *thread_r, void *(*run)(void *arg), void *arg)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(thread_r, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = failed;
    return failed == 0;
}

/* --- the loop's side --- */

static void on_jobs_finished(evutil_socket_t fd, short what, void *arg)
{
    struct thread_queue *q = arg;
    struct thread_job_list finished = STAILQ_HEAD_INITIALIZER(finished);
    uint64_t count;
    if (read(fd, &count, sizeof count) < 0)
        return;
    pthread_mutex_lock(&q->lock);
    STAILQ_CONCAT(&finished, &q->finished);
    pthread_mutex_unlock(&q->lock);
    for (struct thread_job *job; (job = STAILQ_FIRST(&finished));) {
        STAILQ_REMOVE_HEAD(&finished, next);
        q->settings.on_finished(job, q->settings.arg);
    }
}

static void init_thread_queue_lock(struct thread_queue *q)
{
    pthread_condattr_t monotonic;
    pthread_mutex_init(&q->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&q->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static void close_thread_queue(struct thread_queue *q)
{
    int error = errno;
    if (q->event)
        event_free(q->event);
    if (q->fd >= 0)
        close(q->fd);
    pthread_cond_destroy(&q->changed);
    pthread_mutex_destroy(&q->lock);
    talloc_free(q);
    errno = error;
}

struct thread_queue *thread_queue_new(void *ctx, struct event_base *base,
                                      const struct thread_queue_settings *settings)
{
    struct thread_queue *q = talloc_zero(ctx, struct thread_queue);
    q->settings = *settings;
    STAILQ_INIT(&q->urgent);
    STAILQ_INIT(&q->waiting);
    STAILQ_INIT(&q->finished);
    init_thread_queue_lock(q);
    q->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    q->event = q->fd >= 0 ? event_new(base, q->fd, EV_READ | EV_PERSIST, on_jobs_finished, q) : NULL;
    if (q->event && event_add(q->event, NULL) == 0)
        return q;
    close_thread_queue(q);
    return NULL;
}

bool thread_queue_start(struct thread_queue *q)
{
    if (thread_start(&q->thread, thread_queue_main, q))
        return true;
    close_thread_queue(q);
    return false;
}

static void free_jobs(struct thread_job_list *list)
{
    for (struct thread_job *job; (job = STAILQ_FIRST(list));) {
        STAILQ_REMOVE_HEAD(list, next);
        talloc_free(job);
    }
}

void thread_queue_end(struct thread_queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->ending = true;
    pthread_cond_signal(&q->changed);
    pthread_mutex_unlock(&q->lock);
    pthread_join(q->thread, NULL);
    q->ended = true;
}

void thread_queue_stop(struct thread_queue *q)
{
    if (!q->ended)
        thread_queue_end(q);
    free_jobs(&q->urgent);
    free_jobs(&q->waiting);
    free_jobs(&q->finished);
    close_thread_queue(q);
}

static void add_job(struct thread_queue *q, struct thread_job_list *list, struct thread_job *job)
{
    pthread_mutex_lock(&q->lock);
    STAILQ_INSERT_TAIL(list, job, next);
    q->length++;
    pthread_cond_signal(&q->changed);
    pthread_mutex_unlock(&q->lock);
}

void thread_queue_submit(struct thread_queue *q, struct thread_job *job)
{
    add_job(q, &q->waiting, job);
}

void thread_queue_submit_urgent(struct thread_queue *q, struct thread_job *job)
{
    add_job(q, &q->urgent, job);
}

void thread_queue_wake(struct thread_queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->woken = true;
    pthread_cond_signal(&q->changed);
    pthread_mutex_unlock(&q->lock);
}

size_t thread_queue_length(struct thread_queue *q)
{
    pthread_mutex_lock(&q->lock);
    size_t length = q->length;
    pthread_mutex_unlock(&q->lock);
    return length;
}

/* --- the thread's side --- */

static struct timespec deadline_in_ms(long ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += ms % 1000 * 1000000L;
    at.tv_sec += at.tv_nsec / 1000000000L;
    at.tv_nsec %= 1000000000L;
    return at;
}

/* Waits for a change, at most until `deadline` (NULL: without limit). False: the deadline has passed. */
static bool await_change(struct thread_queue *q, const struct timespec *deadline)
{
    return deadline ? pthread_cond_timedwait(&q->changed, &q->lock, deadline) != ETIMEDOUT
                    : pthread_cond_wait(&q->changed, &q->lock) == 0;
}

static struct thread_job *take_first(struct thread_queue *q)
{
    struct thread_job_list *list = STAILQ_EMPTY(&q->urgent) ? &q->waiting : &q->urgent;
    struct thread_job *job = STAILQ_FIRST(list);
    if (!job)
        return NULL;
    STAILQ_REMOVE_HEAD(list, next);
    q->length--;
    return job;
}

struct thread_job *thread_queue_next(struct thread_queue *q, long timeout_ms)
{
    struct timespec deadline = deadline_in_ms(timeout_ms > 0 ? timeout_ms : 0);
    pthread_mutex_lock(&q->lock);
    while (q->length == 0 && !q->ending && await_change(q, timeout_ms < 0 ? NULL : &deadline))
        ;
    struct thread_job *job = q->ending ? NULL : take_first(q);
    pthread_mutex_unlock(&q->lock);
    return job;
}

void thread_queue_wait_any(struct thread_queue *q, long timeout_ms)
{
    struct timespec deadline = deadline_in_ms(timeout_ms > 0 ? timeout_ms : 0);
    pthread_mutex_lock(&q->lock);
    while (q->length == 0 && !q->woken && !q->ending && await_change(q, timeout_ms < 0 ? NULL : &deadline))
        ;
    q->woken = false;
    pthread_mutex_unlock(&q->lock);
}

void thread_queue_wait_urgent(struct thread_queue *q, long timeout_ms)
{
    struct timespec deadline = deadline_in_ms(timeout_ms);
    pthread_mutex_lock(&q->lock);
    while (STAILQ_EMPTY(&q->urgent) && !q->ending && await_change(q, &deadline))
        ;
    pthread_mutex_unlock(&q->lock);
}

static void move_jobs(struct thread_queue *q, struct thread_job_list *to, struct thread_job_list *from)
{
    pthread_mutex_lock(&q->lock);
    for (const struct thread_job *job = STAILQ_FIRST(from); job; job = STAILQ_NEXT(job, next))
        q->length--;
    STAILQ_CONCAT(to, from);
    pthread_mutex_unlock(&q->lock);
}

void thread_queue_take_all(struct thread_queue *q, struct thread_job_list *list)
{
    move_jobs(q, list, &q->waiting);
}

void thread_queue_take_urgent(struct thread_queue *q, struct thread_job_list *list)
{
    move_jobs(q, list, &q->urgent);
}

void thread_queue_return(struct thread_queue *q, struct thread_job *job)
{
    static const uint64_t one = 1;
    pthread_mutex_lock(&q->lock);
    bool first = STAILQ_EMPTY(&q->finished);
    STAILQ_INSERT_TAIL(&q->finished, job, next);
    pthread_mutex_unlock(&q->lock);
    /* the loop takes all finished jobs at once, so only the first of them wakes it */
    if (first && write(q->fd, &one, sizeof one) < 0)
        log_error("thread_queue.wake_failed", "errno=%d", errno);
}

bool thread_queue_is_ending(struct thread_queue *q)
{
    pthread_mutex_lock(&q->lock);
    bool ending = q->ending;
    pthread_mutex_unlock(&q->lock);
    return ending;
}
