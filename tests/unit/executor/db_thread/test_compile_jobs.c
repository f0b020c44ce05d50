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
    struct compile_source source = {
        .responder = *workflow, .version = 1, .program = text, .program_size = strlen(text)};
    struct compile_job *job = compile_job_new(NULL, &source);
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

static const char manifest[] =
    "{\"slug\": \"a\", \"version\": \"1.0.0\", \"name\": \"A\", \"description\": \"a\", \"timeout_seconds\": "
    "20, \"memory_mb\": 128, \"inputs\": {\"type\": \"object\"},"
    " \"outputs\": {\"type\": \"object\"}, \"runner\": {\"type\": \"command\", \"argv\": [\"true\"]}}";

static struct skill skill_row(const char *text)
{
    return (struct skill){.id = id_new(),
                          .slug = "a",
                          .label = "1.0.0",
                          .version = 3,
                          .manifest = text,
                          .manifest_size = strlen(text)};
}

/* Compiles a skill for a job that waits; the job that waits comes back with the result. */
static struct compile_job *compile_skill(struct compile_jobs *t, struct db_thread_ctx *thread_ctx,
                                         const struct skill *row)
{
    struct job *first = talloc_zero(NULL, struct job);
    struct job *second = talloc_zero(NULL, struct job);
    struct compile_source source = {.responder = row->id, .version = row->version, .skill = row};
    thread_ctx->compiling = t;
    compile_for_job(thread_ctx, &source, first);
    compile_for_job(thread_ctx, &source, second);
    sem_wait(&compiled);
    struct compile_job *job = compile_take(t);
    cr_assert(job && !compile_take(t), "one compilation for both");
    cr_expect(STAILQ_FIRST(&job->waiting) == &first->queued);
    cr_expect(STAILQ_NEXT(&first->queued, next) == &second->queued);
    return job;
}

Test(compile_jobs, compiles_a_manifest_once_for_all_that_wait)
{
    struct compile_jobs *t = start();
    struct db_thread_ctx thread_ctx = {.programs = compiled_programs_new(NULL, NULL, NULL),
                                       .skills = compiled_skills_new(NULL, NULL, NULL)};
    struct skill row = skill_row(manifest);
    struct compile_job *job = compile_skill(t, &thread_ctx, &row);
    cr_assert(job->skill);
    cr_expect_str_eq(cached_skill_row(job->skill)->slug, "a");
    cr_expect_eq(cached_skill_row(job->skill)->version, 3);
    compile_job_add(&thread_ctx, job);
    cr_expect_eq(compiled_skills_count(thread_ctx.skills).entries, 1U);
    talloc_free(job); /* with the jobs that wait */
    talloc_free(thread_ctx.skills);
    talloc_free(thread_ctx.programs);
    stop(t);
}

/* Otherwise its runs would be found queued, and compiled for, again and again. */
Test(compile_jobs, remembers_a_manifest_that_does_not_compile)
{
    struct compile_jobs *t = start();
    struct db_thread_ctx thread_ctx = {.programs = compiled_programs_new(NULL, NULL, NULL),
                                       .skills = compiled_skills_new(NULL, NULL, NULL)};
    struct skill row = skill_row("{}");
    struct compile_job *job = compile_skill(t, &thread_ctx, &row);
    cr_expect_not(job->skill);
    compile_job_add(&thread_ctx, job);
    struct cached_skill *skill;
    size_t none = 0;
    cr_expect_eq(compiled_skills_get_within(thread_ctx.skills, NULL, NULL, &row.id, &row.id, row.version, 0,
                                            &none, &skill, &row),
                 ERR_INVALID, "without a look at MariaDB");
    talloc_free(job);
    talloc_free(thread_ctx.skills);
    talloc_free(thread_ctx.programs);
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
