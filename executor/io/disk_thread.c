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

struct disk {
    pthread_t thread;
    pthread_mutex_t lock; /* of all down to here → */
    pthread_cond_t more;
    struct job_list queue, done;
    bool ending; /* ← */
    int fd;
    struct event *event;
};

static void list_init(struct job_list *l)
{
    l->first = NULL;
    l->last = &l->first;
}

static void list_add(struct job_list *l, struct job *job)
{
    job->next = NULL;
    *l->last = job;
    l->last = &job->next;
}

static struct job *list_take(struct job_list *l)
{
    struct job *job = l->first;
    if (job && !(l->first = job->next))
        l->last = &l->first;
    return job;
}

static struct job *next(struct disk *d)
{
    pthread_mutex_lock(&d->lock);
    while (!d->queue.first && !d->ending)
        pthread_cond_wait(&d->more, &d->lock);
    struct job *job = d->ending ? NULL : list_take(&d->queue);
    pthread_mutex_unlock(&d->lock);
    return job;
}

static void *run(void *arg)
{
    struct disk *d = arg;
    uint64_t one = 1;
    for (struct job *job; (job = next(d));) {
        job->work(job, NULL);
        pthread_mutex_lock(&d->lock);
        list_add(&d->done, job);
        pthread_mutex_unlock(&d->lock);
        if (write(d->fd, &one, sizeof one) < 0)
            log_error("disk.eventfd", "fd=%d", d->fd);
    }
    return NULL;
}

static void on_done(evutil_socket_t fd, short what, void *arg)
{
    struct disk *d = arg;
    uint64_t count;
    if (read(fd, &count, sizeof count) < 0)
        return;
    for (;;) {
        pthread_mutex_lock(&d->lock);
        struct job *job = list_take(&d->done);
        pthread_mutex_unlock(&d->lock);
        if (!job)
            return;
        job->done(job);
    }
}

static bool start_thread(struct disk *d)
{
    sigset_t all, old;
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->more, NULL);
    sigfillset(&all); /* signals are the loop's */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int failed = pthread_create(&d->thread, NULL, run, d);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return failed == 0;
}

struct disk *disk_start(void *ctx, struct event_base *base)
{
    struct disk *d = talloc_zero(ctx, struct disk);
    list_init(&d->queue);
    list_init(&d->done);
    d->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    d->event = d->fd >= 0 ? event_new(base, d->fd, EV_READ | EV_PERSIST, on_done, d) : NULL;
    if (!d->event || event_add(d->event, NULL) != 0 || !start_thread(d))
        return NULL;
    return d;
}

void disk_stop(struct disk *d)
{
    pthread_mutex_lock(&d->lock);
    d->ending = true;
    pthread_cond_signal(&d->more);
    pthread_mutex_unlock(&d->lock);
    pthread_join(d->thread, NULL);
    event_free(d->event);
    close(d->fd);
    for (struct job *job; (job = list_take(&d->queue)) || (job = list_take(&d->done));)
        talloc_free(job);
}

void disk_submit(struct disk *d, struct job *job)
{
    pthread_mutex_lock(&d->lock);
    list_add(&d->queue, job);
    pthread_cond_signal(&d->more);
    pthread_mutex_unlock(&d->lock);
}
