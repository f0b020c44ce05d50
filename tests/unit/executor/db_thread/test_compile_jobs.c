#include <criterion/criterion.h>
#include <semaphore.h>
#include <string.h>
#include <talloc.h>

#include "executor/db_thread/compile_jobs.h"

static const char small[] = "{\"steps\": [{\"name\": \"a\", \"type\": \"transform\", \"value\": 1}]}";
static sem_t compiled;
static struct event_base *base;
static struct compute_thread *compute;

static void on_compiled(void *arg)
{
    sem_post(arg);
}

static struct compile_jobs *start(void)
{
    sem_init(&compiled, 0, 0);
    base = event_base_new();
    compute = compute_thread_start(NULL, base);
    cr_assert(compute);
    return compile_jobs_new(NULL, compute, on_compiled, &compiled);
}

static struct compile_job *job_new(const id *workflow, const char *text, const id *run)
{
    struct compile_job *job = talloc_zero(NULL, struct compile_job);
    job->workflow = *workflow;
    job->version = 1;
    job->text = talloc_strdup(job, text);
    job->size = strlen(text);
    job->runs[job->runs_n++] = *run;
    return job;
}

static void stop_ended(struct compile_jobs *t)
{
    compile_jobs_free(t);
    compute_thread_free(compute);
    event_base_free(base);
}

static void stop(struct compile_jobs *t)
{
    compute_thread_end(compute);
    stop_ended(t);
}

Test(compile_jobs, returns_the_program_with_the_runs_that_wait)
{
    struct compile_jobs *t = start();
    id workflow = id_new();
    id runs[] = {id_new(), id_new()};
    cr_expect_not(compile_join(t, &workflow, 1, &runs[0]), "nothing is being compiled");
    compile_submit(t, job_new(&workflow, small, &runs[0]));
    cr_expect(compile_join(t, &workflow, 1, &runs[1]));
    cr_expect(compile_join(t, &workflow, 1, &runs[1]), "once is enough");
    cr_expect_not(compile_join(t, &workflow, 2, &runs[1]), "another version");
    sem_wait(&compiled);
    struct compile_job *job = compile_take(t);
    cr_assert(job);
    cr_expect(job->program && job->runs_n == 2 && id_equal(&job->runs[1], &runs[1]));
    cr_expect_not(compile_take(t));
    cr_expect_not(compile_join(t, &workflow, 1, &runs[0]), "the caller has it");
    talloc_free(job);
    stop(t);
}

Test(compile_jobs, reports_what_does_not_compile)
{
    struct compile_jobs *t = start();
    id workflow = id_new();
    compile_submit(t, job_new(&workflow, "{\"steps\": 1}", &workflow));
    sem_wait(&compiled);
    struct compile_job *job = compile_take(t);
    cr_assert(job);
    cr_expect_not(job->program);
    talloc_free(job);
    stop(t);
}

Test(compile_jobs, frees_what_nobody_takes)
{
    struct compile_jobs *t = start();
    for (int i = 0; i < 3; i++) {
        id workflow = id_new();
        compile_submit(t, job_new(&workflow, small, &workflow));
    }
    sem_wait(&compiled);
    compute_thread_end(compute);
    id late = id_new();
    compile_submit(t, job_new(&late, small, &late));
    stop_ended(t);
}
