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

/* A page's frames are cut where they grow beyond this: what one subscriber may hold in memory at once. */
enum { FRAMES_MAX = 128 * 1024, TIDY_S = 60 };

struct jobs { /* first in, first out */
    struct read_job *first, **end;
};

struct reader {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct jobs asked, answered; /* under the lock */
    bool leave;                  /* under the lock */
    int wake_fd;
    struct event *wake;
    struct db *db; /* the thread's own */
};

static void jobs_add(struct jobs *q, struct read_job *job)
{
    job->next = NULL;
    *q->end = job;
    q->end = &job->next;
}

static struct read_job *jobs_take(struct jobs *q)
{
    struct read_job *all = q->first;
    *q = (struct jobs){.end = &q->first};
    return all;
}

/* --- the thread --- */

static void read_events(struct reader *r, struct read_job *job)
{
    struct event_page page;
    job->e = events_read(r->db, job, &job->workspace, &job->execution, job->after, &page);
    job->frames = talloc_strdup(job, "");
    for (size_t i = 0; job->e == OK && i < page.count && talloc_get_size(job->frames) < FRAMES_MAX; i++) {
        const struct event_row *row = &page.rows[i];
        char *text = event_text(job, &job->execution, row->seq, row->type, row->at_ms, row->data);
        sse_append_event(&job->frames, row->seq, row->type, text, talloc_get_size(text) - 1);
        talloc_free(text);
        job->until = row->seq;
    }
    job->state = page.state;
    job->last_seq = page.last_seq;
}

static void read_sights(struct reader *r, struct read_job *job)
{
    job->e = executions_look(r->db, job, job->executions, job->executions_n, &job->sights, &job->sights_n);
    if (job->e == OK)
        job->e = key_list_live(r->db, job, job->keys, job->keys_n, &job->live_keys, &job->live_keys_n);
}

static void read_one(struct reader *r, struct read_job *job)
{
    if (job->kind == READ_EVENTS)
        read_events(r, job);
    else
        read_sights(r, job);
}

/* Waits for jobs, at most TIDY_S. False: it is time to leave. */
static bool wait_jobs(struct reader *r, struct read_job **jobs_r)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += TIDY_S;
    pthread_mutex_lock(&r->lock);
    while (!r->asked.first && !r->leave) {
        if (pthread_cond_timedwait(&r->more, &r->lock, &until) == ETIMEDOUT)
            break;
    }
    *jobs_r = jobs_take(&r->asked);
    bool leave = r->leave;
    pthread_mutex_unlock(&r->lock);
    return !leave;
}

static void hand_back(struct reader *r, struct read_job *job)
{
    static const uint64_t one = 1;
    pthread_mutex_lock(&r->lock);
    jobs_add(&r->answered, job);
    pthread_mutex_unlock(&r->lock);
    if (write(r->wake_fd, &one, sizeof one) < 0)
        log_error("stream.wake_failed", "errno=%d", errno);
}

static void free_jobs(struct read_job *job)
{
    while (job) {
        struct read_job *next = job->next;
        talloc_free(job);
        job = next;
    }
}

static void *run_thread(void *arg)
{
    struct reader *r = arg;
    struct read_job *job;
    int64_t tidied_ms = clock_boot_ms();
    while (wait_jobs(r, &job)) {
        while (job) {
            struct read_job *next = job->next;
            read_one(r, job);
            hand_back(r, job);
            job = next;
        }
        if (clock_boot_ms() - tidied_ms < TIDY_S * 1000)
            continue;
        ticket_tidy(r->db);
        tidied_ms = clock_boot_ms();
    }
    free_jobs(job);
    return NULL;
}

/* --- the loop's side --- */

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct reader *r = arg;
    uint64_t count;
    if (read(fd, &count, sizeof count) < 0)
        return;
    pthread_mutex_lock(&r->lock);
    struct read_job *job = jobs_take(&r->answered);
    pthread_mutex_unlock(&r->lock);
    while (job) {
        struct read_job *next = job->next;
        job->done(job);
        talloc_free(job);
        job = next;
    }
}

static int reader_destroy(struct reader *r)
{
    pthread_mutex_lock(&r->lock);
    r->leave = true;
    pthread_cond_signal(&r->more);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
    free_jobs(jobs_take(&r->answered));
    event_free(r->wake);
    close(r->wake_fd);
    return 0;
}

/* Signals are the loop's: the thread never sees one. */
static bool start_thread(struct reader *r)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&r->thread, NULL, run_thread, r);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed == 0;
}

struct reader *reader_new(void *ctx, struct event_base *base, const struct db_settings *settings)
{
    struct reader *r = talloc_zero(ctx, struct reader);
    r->db = db_new(r, settings);
    r->asked.end = &r->asked.first;
    r->answered.end = &r->answered.first;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&r->more, &monotonic);
    pthread_mutex_init(&r->lock, NULL);
    r->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    r->wake = event_new(base, r->wake_fd, EV_READ | EV_PERSIST, on_wake, r);
    if (r->wake_fd < 0 || !r->wake || event_add(r->wake, NULL) != 0 || !start_thread(r)) {
        log_error("stream.start_failed", "what=\"database thread\" errno=%d", errno);
        return NULL;
    }
    talloc_set_destructor(r, reader_destroy);
    return r;
}

struct read_job *read_job_new(enum read_kind kind, void *owner, void (*done)(struct read_job *job))
{
    struct read_job *job = talloc_zero(NULL, struct read_job);
    job->kind = kind;
    job->owner = owner;
    job->done = done;
    return job;
}

void reader_submit(struct reader *r, struct read_job *job)
{
    pthread_mutex_lock(&r->lock);
    jobs_add(&r->asked, job);
    pthread_cond_signal(&r->more);
    pthread_mutex_unlock(&r->lock);
}
