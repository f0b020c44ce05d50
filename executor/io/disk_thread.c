#include "executor/io/disk_thread.h"

#include <errno.h>
#include <talloc.h>

#include "base/log.h"

struct disk_thread {
    struct thread_queue *queue;
};

static void run_disk_thread(struct thread_queue *q, void *arg)
{
    for (struct thread_job *queued; (queued = thread_queue_next(q, -1));) {
        struct job *job = (struct job *)queued;
        job->work(job, NULL);
        thread_queue_return(q, queued);
    }
}

static void on_disk_job_finished(struct thread_job *queued, void *arg)
{
    struct job *job = (struct job *)queued;
    job->done(job);
}

struct disk_thread *disk_thread_start(void *ctx, struct event_base *base)
{
    static const struct thread_queue_settings settings = {.run = run_disk_thread,
                                                          .on_finished = on_disk_job_finished};
    struct disk_thread *d = talloc_zero(ctx, struct disk_thread);
    d->queue = thread_queue_new(d, base, &settings);
    if (d->queue && thread_queue_start(d->queue))
        return d;
    log_error("disk_thread.start_failed", "errno=%d", errno);
    talloc_free(d);
    return NULL;
}

void disk_thread_stop(struct disk_thread *d)
{
    thread_queue_stop(d->queue);
}

void disk_thread_submit(struct disk_thread *d, struct job *job)
{
    thread_queue_submit(d->queue, &job->queued);
}

size_t disk_thread_queued(struct disk_thread *d)
{
    return thread_queue_length(d->queue);
}
