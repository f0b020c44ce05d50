#include "executor/db_thread/compile_jobs.h"

#include <pthread.h>
#include <talloc.h>

struct compile_jobs {
    struct compute_thread *compute;
    void (*on_compiled)(void *arg);
    void *arg;
    /* Submitted and not taken; the database thread's own. */
    TAILQ_HEAD(compile_jobs_out, compile_job) out;

    /* Protects what is below. */
    pthread_mutex_t lock;
    STAILQ_HEAD(compile_jobs_finished, compile_job) finished;
};

struct compile_jobs *compile_jobs_new(void *ctx, struct compute_thread *compute,
                                      void (*on_compiled)(void *arg), void *arg)
{
    struct compile_jobs *all = talloc_zero(ctx, struct compile_jobs);
    all->compute = compute;
    all->on_compiled = on_compiled;
    all->arg = arg;
    TAILQ_INIT(&all->out);
    STAILQ_INIT(&all->finished);
    pthread_mutex_init(&all->lock, NULL);
    return all;
}

void compile_jobs_free(struct compile_jobs *all)
{
    for (struct compile_job *job; (job = compile_take(all));)
        talloc_free(job);
    pthread_mutex_destroy(&all->lock);
    talloc_free(all);
}

/* --- the compute thread --- */

static int compile_job_destroy(struct compile_job *job)
{
    cached_program_unref(job->program);
    if (job->memory)
        memory_budget_leave(job->memory, job->memory_bytes);
    return 0;
}

void compile_job_count(struct compile_job *job, struct memory_budget *memory, size_t bytes)
{
    job->memory = memory;
    job->memory_bytes = bytes;
    talloc_set_destructor(job, compile_job_destroy);
}

static void compile_work(struct compute_job *compute)
{
    struct compile_job *job = (struct compile_job *)compute;
    job->program = cached_program_compile(&job->workflow, job->version, job->text, job->size);
}

static void compile_returned(struct compute_job *compute)
{
    struct compile_job *job = (struct compile_job *)compute;
    struct compile_jobs *all = job->all;
    pthread_mutex_lock(&all->lock);
    STAILQ_INSERT_TAIL(&all->finished, job, finished_link);
    pthread_mutex_unlock(&all->lock);
    all->on_compiled(all->arg);
}

/* --- the database thread --- */

static void note_run(struct compile_job *job, const id *run)
{
    if (job->runs_n < COMPILE_RUNS_MAX && !id_is_in(job->runs, job->runs_n, run))
        job->runs[job->runs_n++] = *run;
}

bool compile_join(struct compile_jobs *all, const id *workflow, int version, const id *run)
{
    struct compile_job *job;
    TAILQ_FOREACH(job, &all->out, out_link)
    {
        if (job->version != version || !id_equal(&job->workflow, workflow))
            continue;
        note_run(job, run);
        return true;
    }
    return false;
}

void compile_submit(struct compile_jobs *all, struct compile_job *job)
{
    job->compute = (struct compute_job){
        .workspace_id = job->workspace_id, .work = compile_work, .returned = compile_returned};
    job->all = all;
    talloc_set_destructor(job, compile_job_destroy);
    TAILQ_INSERT_TAIL(&all->out, job, out_link);
    compute_submit(all->compute, &job->compute);
}

struct compile_job *compile_take(struct compile_jobs *all)
{
    pthread_mutex_lock(&all->lock);
    struct compile_job *job = STAILQ_FIRST(&all->finished);
    if (job)
        STAILQ_REMOVE_HEAD(&all->finished, finished_link);
    pthread_mutex_unlock(&all->lock);
    if (job)
        TAILQ_REMOVE(&all->out, job, out_link);
    return job;
}
