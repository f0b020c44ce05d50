#include "service/compute_thread.h"

#include <stdatomic.h>
#include <talloc.h>

#include "base/sched.h"

/* Jobs of one workspace, in the rotation while it has some. */
struct workspace_jobs {
    id workspace_id;
    struct thread_job_list jobs;
    TAILQ_ENTRY(workspace_jobs) link;
};

struct compute_thread {
    struct thread_queue *queue;
    atomic_size_t queued_n;
    atomic_bool ended;
    /* the thread's own */
    TAILQ_HEAD(compute_rotation, workspace_jobs) rotation;
};

/* --- the thread --- */

static struct workspace_jobs *jobs_of(struct compute_thread *t, const id *workspace_id)
{
    struct workspace_jobs *w;
    TAILQ_FOREACH(w, &t->rotation, link)
    {
        if (id_equal(&w->workspace_id, workspace_id))
            return w;
    }
    w = talloc_zero(t, struct workspace_jobs);
    w->workspace_id = *workspace_id;
    STAILQ_INIT(&w->jobs);
    TAILQ_INSERT_TAIL(&t->rotation, w, link);
    return w;
}

static void sort_jobs(struct compute_thread *t, struct thread_job_list *jobs)
{
    for (struct thread_job *job; (job = STAILQ_FIRST(jobs));) {
        STAILQ_REMOVE_HEAD(jobs, next);
        STAILQ_INSERT_TAIL(&jobs_of(t, &((struct compute_job *)job)->workspace_id)->jobs, job, next);
    }
}

/* The first job of the workspace whose turn it is, which becomes the last in the rotation. NULL: there is
 * none. */
static struct compute_job *take_next(struct compute_thread *t)
{
    struct workspace_jobs *w = TAILQ_FIRST(&t->rotation);
    if (!w)
        return NULL;
    struct thread_job *job = STAILQ_FIRST(&w->jobs);
    STAILQ_REMOVE_HEAD(&w->jobs, next);
    TAILQ_REMOVE(&t->rotation, w, link);
    if (STAILQ_EMPTY(&w->jobs))
        talloc_free(w);
    else
        TAILQ_INSERT_TAIL(&t->rotation, w, link);
    return (struct compute_job *)job;
}

static void run_job(struct compute_thread *t, struct thread_queue *q, struct compute_job *job)
{
    if (job->work)
        job->work(job);
    if (!job->returned) {
        thread_queue_return(q, &job->queued);
        return;
    }
    atomic_fetch_sub(&t->queued_n, 1);
    job->returned(job);
}

static void run_compute_thread(struct thread_queue *q, void *arg)
{
    struct compute_thread *t = arg;
    /* otherwise the loops, which need little, wait behind the compute threads of all processes */
    sched_run_behind();
    sched_set_long_slices(true);
    struct thread_job_list submitted = STAILQ_HEAD_INITIALIZER(submitted);
    while (!thread_queue_is_ending(q)) {
        thread_queue_wait_any(q, TAILQ_EMPTY(&t->rotation) ? -1 : 0);
        thread_queue_take_all(q, &submitted);
        sort_jobs(t, &submitted);
        struct compute_job *job = thread_queue_is_ending(q) ? NULL : take_next(t);
        if (job)
            run_job(t, q, job);
    }
}

/* --- the other threads --- */

static void on_computed(struct thread_job *queued, void *arg)
{
    struct compute_thread *t = arg;
    struct compute_job *job = (struct compute_job *)queued;
    atomic_fetch_sub(&t->queued_n, 1);
    job->done(job);
}

struct compute_thread *compute_thread_start(void *ctx, struct event_base *base)
{
    struct compute_thread *t = talloc_zero(ctx, struct compute_thread);
    struct thread_queue_settings settings = {.run = run_compute_thread, .on_finished = on_computed, .arg = t};
    TAILQ_INIT(&t->rotation);
    t->queue = thread_queue_new(t, base, &settings);
    if (t->queue && thread_queue_start(t->queue))
        return t;
    talloc_free(t);
    return NULL;
}

void compute_submit(struct compute_thread *t, struct compute_job *job)
{
    atomic_fetch_add(&t->queued_n, 1);
    thread_queue_submit(t->queue, &job->queued);
}

struct discard_job {
    struct compute_job compute; /* first */
    void *ctx;
    struct memory_budget *memory;
    size_t bytes;
};

static int discard_job_destroy(struct discard_job *job)
{
    talloc_free(job->ctx);
    memory_budget_return(job->memory, job->bytes);
    return 0;
}

static void free_job(struct compute_job *job)
{
    talloc_free(job);
}

void compute_discard(struct compute_thread *t, const id *workspace_id, void *ctx,
                     struct memory_budget *memory, size_t bytes)
{
    struct discard_job *job = talloc_zero(NULL, struct discard_job);
    job->compute = (struct compute_job){.workspace_id = *workspace_id, .returned = free_job};
    job->ctx = talloc_steal(job, ctx);
    job->memory = memory;
    job->bytes = bytes;
    talloc_set_destructor(job, discard_job_destroy);
    if (atomic_load(&t->ended))
        talloc_free(job);
    else
        compute_submit(t, &job->compute);
}

size_t compute_queued(struct compute_thread *t)
{
    return atomic_load(&t->queued_n);
}

void compute_thread_end(struct compute_thread *t)
{
    thread_queue_end(t->queue);
    atomic_store(&t->ended, true);
}

void compute_thread_free(struct compute_thread *t)
{
    struct workspace_jobs *w;
    TAILQ_FOREACH(w, &t->rotation, link)
    {
        for (struct thread_job *job; (job = STAILQ_FIRST(&w->jobs));) {
            STAILQ_REMOVE_HEAD(&w->jobs, next);
            talloc_free(job);
        }
    }
    thread_queue_stop(t->queue);
    talloc_free(t);
}
