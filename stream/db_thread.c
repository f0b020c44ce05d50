#include "stream/db_thread.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <talloc.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "run/event_json.h"
#include "store/key.h"
#include "store/ticket.h"
#include "stream/sse.h"

/* A page is cut when its frames exceed FRAMES_MAX bytes: they stay in memory until the subscriber has
 * received them. */
enum { FRAMES_MAX = 128 * 1024, TICKET_TIDY_S = 60 };

struct stream_db_queue {
    struct stream_db_job *first, **end;
};

struct stream_db_thread {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t job_added;
    struct stream_db_queue pending, finished; /* under the lock */
    bool stopping;                            /* under the lock */
    int wake_fd;
    struct event *wake;
    /* used only by the thread */
    struct db *db;
};

static void queue_add(struct stream_db_queue *q, struct stream_db_job *job)
{
    job->next = NULL;
    *q->end = job;
    q->end = &job->next;
}

static struct stream_db_job *queue_take_all(struct stream_db_queue *q)
{
    struct stream_db_job *all = q->first;
    *q = (struct stream_db_queue){.end = &q->first};
    return all;
}

/* --- the thread --- */

static void read_run_events(struct stream_db_thread *thread, struct stream_db_job *job)
{
    struct event_page page;
    job->error = events_read(thread->db, job, &job->workspace, &job->execution, job->after, &page);
    job->frames = talloc_strdup(job, "");
    for (size_t i = 0; job->error == OK && i < page.count && talloc_get_size(job->frames) < FRAMES_MAX; i++) {
        const struct event_row *row = &page.rows[i];
        char *text = event_json_make(job, &job->execution, row->seq, row->type, row->at_ms, row->data);
        sse_append_event(&job->frames, row->seq, row->type, text, talloc_get_size(text) - 1);
        talloc_free(text);
        job->last_read = row->seq;
    }
    job->state = page.state;
    job->last_seq = page.last_seq;
}

static void read_run_progress(struct stream_db_thread *thread, struct stream_db_job *job)
{
    job->error = execution_progress_list(thread->db, job, job->executions, job->executions_n, &job->progress,
                                         &job->progress_n);
    if (job->error == OK)
        job->error =
            api_key_filter_valid(thread->db, job, job->keys, job->keys_n, &job->live_keys, &job->live_keys_n);
}

static void execute_job(struct stream_db_thread *thread, struct stream_db_job *job)
{
    if (job->kind == STREAM_DB_EVENTS)
        read_run_events(thread, job);
    else
        read_run_progress(thread, job);
}

/* Waits for jobs, at most TICKET_TIDY_S. False: the thread must exit. */
static bool wait_for_jobs(struct stream_db_thread *thread, struct stream_db_job **jobs_r)
{
    struct timespec deadline;
    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += TICKET_TIDY_S;
    pthread_mutex_lock(&thread->lock);
    while (!thread->pending.first && !thread->stopping) {
        if (pthread_cond_timedwait(&thread->job_added, &thread->lock, &deadline) == ETIMEDOUT)
            break;
    }
    *jobs_r = queue_take_all(&thread->pending);
    bool stopping = thread->stopping;
    pthread_mutex_unlock(&thread->lock);
    return !stopping;
}

static void return_job(struct stream_db_thread *thread, struct stream_db_job *job)
{
    static const uint64_t one = 1;
    pthread_mutex_lock(&thread->lock);
    queue_add(&thread->finished, job);
    pthread_mutex_unlock(&thread->lock);
    if (write(thread->wake_fd, &one, sizeof one) < 0)
        log_error("stream.wake_failed", "errno=%d", errno);
}

static void free_jobs(struct stream_db_job *job)
{
    while (job) {
        struct stream_db_job *next = job->next;
        talloc_free(job);
        job = next;
    }
}

static void *db_thread_main(void *arg)
{
    struct stream_db_thread *thread = arg;
    struct stream_db_job *job;
    int64_t tidied_ms = clock_boot_ms();
    while (wait_for_jobs(thread, &job)) {
        while (job) {
            struct stream_db_job *next = job->next;
            execute_job(thread, job);
            return_job(thread, job);
            job = next;
        }
        if (clock_boot_ms() - tidied_ms < TICKET_TIDY_S * 1000)
            continue;
        ticket_delete_expired(thread->db);
        tidied_ms = clock_boot_ms();
    }
    free_jobs(job);
    return NULL;
}

/* --- loop thread --- */

static void db_thread_on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct stream_db_thread *thread = arg;
    uint64_t count;
    if (read(fd, &count, sizeof count) < 0)
        return;
    pthread_mutex_lock(&thread->lock);
    struct stream_db_job *job = queue_take_all(&thread->finished);
    pthread_mutex_unlock(&thread->lock);
    while (job) {
        struct stream_db_job *next = job->next;
        job->on_done(job);
        talloc_free(job);
        job = next;
    }
}

static int stream_db_thread_destroy(struct stream_db_thread *thread)
{
    pthread_mutex_lock(&thread->lock);
    thread->stopping = true;
    pthread_cond_signal(&thread->job_added);
    pthread_mutex_unlock(&thread->lock);
    pthread_join(thread->thread, NULL);
    free_jobs(queue_take_all(&thread->finished));
    event_free(thread->wake);
    close(thread->wake_fd);
    return 0;
}

/* The thread blocks all signals, so that they are delivered to the loop thread. */
static bool start_db_thread(struct stream_db_thread *thread)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&thread->thread, NULL, db_thread_main, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed == 0;
}

struct stream_db_thread *stream_db_thread_new(void *ctx, struct event_base *base,
                                              const struct db_settings *settings)
{
    struct stream_db_thread *thread = talloc_zero(ctx, struct stream_db_thread);
    thread->db = db_new(thread, settings);
    thread->pending.end = &thread->pending.first;
    thread->finished.end = &thread->finished.first;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&thread->job_added, &monotonic);
    pthread_mutex_init(&thread->lock, NULL);
    thread->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    thread->wake = event_new(base, thread->wake_fd, EV_READ | EV_PERSIST, db_thread_on_wake, thread);
    if (thread->wake_fd < 0 || !thread->wake || event_add(thread->wake, NULL) != 0 ||
        !start_db_thread(thread)) {
        log_error("stream.start_failed", "what=\"database thread\" errno=%d", errno);
        return NULL;
    }
    talloc_set_destructor(thread, stream_db_thread_destroy);
    return thread;
}

struct stream_db_job *stream_db_job_new(enum stream_db_job_kind kind, void *owner,
                                        void (*on_done)(struct stream_db_job *job))
{
    struct stream_db_job *job = talloc_zero(NULL, struct stream_db_job);
    job->kind = kind;
    job->owner = owner;
    job->on_done = on_done;
    return job;
}

void stream_db_thread_submit(struct stream_db_thread *thread, struct stream_db_job *job)
{
    pthread_mutex_lock(&thread->lock);
    queue_add(&thread->pending, job);
    pthread_cond_signal(&thread->job_added);
    pthread_mutex_unlock(&thread->lock);
}
