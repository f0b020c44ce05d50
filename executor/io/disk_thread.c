#include "executor/io/disk_thread.h"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <talloc.h>
#include <unistd.h>

#include "base/log.h"

struct job_list {
    struct job *first, **last;
};

struct disk_thread {
    pthread_t pthread;
    pthread_mutex_t lock; /* of all down to here → */
    pthread_cond_t jobs_added;
    struct job_list queue, done;
    bool ending; /* ← */
    int fd;
    struct event *event;
};

static void job_list_init(struct job_list *l)
{
    l->first = NULL;
    l->last = &l->first;
}

static void job_list_add(struct job_list *l, struct job *job)
{
    job->next = NULL;
    *l->last = job;
    l->last = &job->next;
}

static struct job *job_list_take(struct job_list *l)
{
    struct job *job = l->first;
    if (job && !(l->first = job->next))
        l->last = &l->first;
    return job;
}

static struct job *next_disk_job(struct disk_thread *d)
{
    pthread_mutex_lock(&d->lock);
    while (!d->queue.first && !d->ending)
        pthread_cond_wait(&d->jobs_added, &d->lock);
    struct job *job = d->ending ? NULL : job_list_take(&d->queue);
    pthread_mutex_unlock(&d->lock);
    return job;
}

static void *run_disk_thread(void *arg)
{
    struct disk_thread *d = arg;
    uint64_t one = 1;
    for (struct job *job; (job = next_disk_job(d));) {
        job->work(job, NULL);
        pthread_mutex_lock(&d->lock);
        job_list_add(&d->done, job);
        pthread_mutex_unlock(&d->lock);
        if (write(d->fd, &one, sizeof one) < 0)
            log_error("disk.eventfd", "fd=%d", d->fd);
    }
    return NULL;
}

static void on_disk_jobs_done(evutil_socket_t fd, short what, void *arg)
{
    struct disk_thread *d = arg;
    uint64_t count;
    if (read(fd, &count, sizeof count) < 0)
        return;
    for (;;) {
        pthread_mutex_lock(&d->lock);
        struct job *job = job_list_take(&d->done);
        pthread_mutex_unlock(&d->lock);
        if (!job)
            return;
        job->done(job);
    }
}

static bool disk_thread_spawn(struct disk_thread *d)
{
    sigset_t all, old;
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->jobs_added, NULL);
    sigfillset(&all); /* signals are the loop's */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int failed = pthread_create(&d->pthread, NULL, run_disk_thread, d);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return failed == 0;
}

struct disk_thread *disk_thread_start(void *ctx, struct event_base *base)
{
    struct disk_thread *d = talloc_zero(ctx, struct disk_thread);
    job_list_init(&d->queue);
    job_list_init(&d->done);
    d->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    d->event = d->fd >= 0 ? event_new(base, d->fd, EV_READ | EV_PERSIST, on_disk_jobs_done, d) : NULL;
    if (!d->event || event_add(d->event, NULL) != 0 || !disk_thread_spawn(d))
        return NULL;
    return d;
}

void disk_thread_stop(struct disk_thread *d)
{
    pthread_mutex_lock(&d->lock);
    d->ending = true;
    pthread_cond_signal(&d->jobs_added);
    pthread_mutex_unlock(&d->lock);
    pthread_join(d->pthread, NULL);
    event_free(d->event);
    close(d->fd);
    for (struct job *job; (job = job_list_take(&d->queue)) || (job = job_list_take(&d->done));)
        talloc_free(job);
}

void disk_thread_submit(struct disk_thread *d, struct job *job)
{
    pthread_mutex_lock(&d->lock);
    job_list_add(&d->queue, job);
    pthread_cond_signal(&d->jobs_added);
    pthread_mutex_unlock(&d->lock);
}
