#include "executor/db_thread/compute_returns.h"

#include <pthread.h>
#include <talloc.h>

struct compute_returns {
    struct compute_thread *compute;
    void (*on_returned)(void *arg);
    void *arg;

    /* Protects what is below. */
    pthread_mutex_t lock;
    STAILQ_HEAD(compute_returns_finished, compute_return) finished;
};

struct compute_returns *compute_returns_new(void *ctx, struct compute_thread *compute,
                                            void (*on_returned)(void *arg), void *arg)
{
    struct compute_returns *all = talloc_zero(ctx, struct compute_returns);
    all->compute = compute;
    all->on_returned = on_returned;
    all->arg = arg;
    STAILQ_INIT(&all->finished);
    pthread_mutex_init(&all->lock, NULL);
    return all;
}

void compute_returns_free(struct compute_returns *all)
{
    for (struct compute_return *job; (job = compute_returns_take(all));)
        talloc_free(job);
    pthread_mutex_destroy(&all->lock);
    talloc_free(all);
}

/* On the compute thread. */
static void keep_returned(struct compute_job *compute)
{
    struct compute_return *job = (struct compute_return *)compute;
    struct compute_returns *all = job->all;
    pthread_mutex_lock(&all->lock);
    STAILQ_INSERT_TAIL(&all->finished, job, link);
    pthread_mutex_unlock(&all->lock);
    all->on_returned(all->arg);
}

void compute_returns_submit(struct compute_returns *all, struct compute_return *job)
{
    job->all = all;
    job->compute.returned = keep_returned;
    compute_submit(all->compute, &job->compute);
}

struct compute_return *compute_returns_take(struct compute_returns *all)
{
    pthread_mutex_lock(&all->lock);
    struct compute_return *job = STAILQ_FIRST(&all->finished);
    if (job)
        STAILQ_REMOVE_HEAD(&all->finished, link);
    pthread_mutex_unlock(&all->lock);
    return job;
}
