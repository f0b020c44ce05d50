#include "executor/run/run_job.h"

#include <talloc.h>

#include "service/compute_thread.h"

struct run_job {
    struct compute_job compute; /* first */
    struct compute_thread *thread;
    void *state;
    void (*work)(void *state, void *ctx);
    void (*on_ready)(struct active_run *run);
    /* The context that the thread allocates in: no other thread touches it meanwhile. */
    void *ctx;
};

static int run_job_destroy(struct run_job *job)
{
    talloc_free(job->ctx);
    return 0;
}

static void do_run_job(struct compute_job *compute)
{
    struct run_job *job = (struct run_job *)compute;
    job->work(job->state, job->ctx);
}

static void on_run_job_done(struct compute_job *compute)
{
    struct run_job *job = (struct run_job *)compute;
    struct active_run *run = compute->arg;
    if (!run) { /* with the state of a run that has left */
        compute_discard(job->thread, &compute->workspace_id, job, NULL, 0);
        return;
    }
    void (*on_ready)(struct active_run * run) = job->on_ready;
    run->job = NULL;
    talloc_steal(run->state, job->ctx);
    job->ctx = NULL;
    talloc_free(job);
    if (!run->ending)
        on_ready(run);
}

void run_compute(struct active_run *run, void (*work)(void *state, void *ctx),
                 void (*on_ready)(struct active_run *run))
{
    struct run_job *job = talloc_zero(NULL, struct run_job);
    job->compute = (struct compute_job){
        .workspace_id = run->row.workspace_id, .work = do_run_job, .done = on_run_job_done, .arg = run};
    job->thread = run->exec->compute;
    job->state = run->state;
    job->work = work;
    job->on_ready = on_ready;
    job->ctx = talloc_new(NULL);
    talloc_set_destructor(job, run_job_destroy);
    run->job = job;
    compute_submit(job->thread, &job->compute);
}

void run_leave_state_to_job(struct active_run *run)
{
    if (!run->job)
        return;
    run->job->compute.arg = NULL;
    talloc_steal(run->job, run->state);
    run->job = NULL;
    run->state = NULL;
}
