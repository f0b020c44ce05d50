#include "executor/db_thread/compile_jobs.h"

#include <talloc.h>

struct compile_jobs {
    struct compute_returns *returns;
    /* Submitted and not taken; the database thread's own. */
    TAILQ_HEAD(compile_jobs_out, compile_job) out;
};

struct compile_jobs *compile_jobs_new(void *ctx, struct compute_thread *compute,
                                      void (*on_compiled)(void *arg), void *arg)
{
    struct compile_jobs *all = talloc_zero(ctx, struct compile_jobs);
    all->returns = compute_returns_new(NULL, compute, on_compiled, arg);
    TAILQ_INIT(&all->out);
    return all;
}

void compile_jobs_free(struct compile_jobs *all)
{
    compute_returns_free(all->returns);
    talloc_free(all);
}

/* --- one job --- */

static int compile_job_destroy(struct compile_job *job)
{
    for (struct thread_job *waiting; (waiting = STAILQ_FIRST(&job->waiting));) {
        STAILQ_REMOVE_HEAD(&job->waiting, next);
        talloc_free(waiting);
    }
    cached_program_unref(job->program);
    cached_skill_unref(job->skill);
    if (job->memory)
        memory_budget_leave(job->memory, job->memory_bytes);
    return 0;
}

/* Runs on the compute thread. */
static void compile_work(struct compute_job *compute)
{
    struct compile_job *job = (struct compile_job *)compute;
    const struct compile_source *s = &job->source;
    if (s->skill)
        job->skill = cached_skill_compile(s->skill);
    else
        job->program = cached_program_compile(&s->responder, s->version, s->program, s->program_size);
}

static const struct skill *copy_skill(void *ctx, const struct skill *row)
{
    struct skill *copy = talloc_memdup(ctx, row, sizeof *row);
    copy->slug = talloc_strdup(copy, row->slug);
    copy->label = talloc_strdup(copy, row->label);
    copy->manifest = talloc_memdup(copy, row->manifest, row->manifest_size);
    return copy;
}

struct compile_job *compile_job_new(void *ctx, const struct compile_source *source)
{
    struct compile_job *job = talloc_zero(ctx, struct compile_job);
    STAILQ_INIT(&job->waiting);
    job->compute.compute = (struct compute_job){.workspace_id = source->workspace_id, .work = compile_work};
    job->source = *source;
    if (source->skill)
        job->source.skill = copy_skill(job, source->skill);
    else
        job->source.program = talloc_memdup(job, source->program, source->program_size);
    talloc_set_destructor(job, compile_job_destroy);
    return job;
}

size_t compile_source_estimate(const struct compile_source *source)
{
    return source->skill ? cached_skill_estimate(source->skill->manifest, source->skill->manifest_size)
                         : cached_program_estimate(source->program, source->program_size);
}

void compile_job_count(struct compile_job *job, struct memory_budget *memory, size_t bytes)
{
    job->memory = memory;
    job->memory_bytes = bytes;
}

void compile_job_add(struct db_thread_ctx *thread_ctx, struct compile_job *job)
{
    const struct compile_source *s = &job->source;
    if (s->skill)
        compiled_skills_add(thread_ctx->skills, &s->responder, s->version, job->skill);
    else
        compiled_programs_add(thread_ctx->programs, &s->responder, s->version, job->program);
    job->skill = NULL; /* the cache has it */
    job->program = NULL;
}

/* --- all jobs --- */

static void note_run(struct compile_job *job, const id *run)
{
    if (job->runs_n < COMPILE_RUNS_MAX && !id_is_in(job->runs, job->runs_n, run))
        job->runs[job->runs_n++] = *run;
}

static struct compile_job *find_out(struct compile_jobs *all, const id *responder, int version)
{
    struct compile_job *job;
    TAILQ_FOREACH(job, &all->out, out_link)
    {
        if (job->source.version == version && id_equal(&job->source.responder, responder))
            return job;
    }
    return NULL;
}

bool compile_join(struct compile_jobs *all, const id *responder, int version, const id *run)
{
    struct compile_job *job = find_out(all, responder, version);
    if (job)
        note_run(job, run);
    return job;
}

void compile_submit(struct compile_jobs *all, struct compile_job *job)
{
    TAILQ_INSERT_TAIL(&all->out, job, out_link);
    compute_returns_submit(all->returns, &job->compute);
}

bool compile_wait(struct compile_jobs *all, const id *responder, int version, struct job *waiting)
{
    struct compile_job *job = find_out(all, responder, version);
    if (job && waiting)
        STAILQ_INSERT_TAIL(&job->waiting, &waiting->queued, next);
    return job;
}

void compile_for_job(struct db_thread_ctx *thread_ctx, const struct compile_source *source,
                     struct job *waiting)
{
    if (compile_wait(thread_ctx->compiling, &source->responder, source->version, waiting))
        return;
    size_t bytes = compile_source_estimate(source);
    struct compile_job *job = compile_job_new(NULL, source);
    /* what a running run waits for is compiled in any case */
    if (compiled_programs_admit(thread_ctx->programs, bytes))
        compile_job_count(job, thread_ctx->memory, bytes);
    if (waiting)
        STAILQ_INSERT_TAIL(&job->waiting, &waiting->queued, next);
    compile_submit(thread_ctx->compiling, job);
}

enum err compile_skill_for_job(struct db_thread_ctx *thread_ctx, const id *workspace, const struct skill *row,
                               struct job *waiting)
{
    struct skill whole = *row;
    struct compile_source source = {
        .workspace_id = *workspace, .responder = row->id, .version = row->version, .skill = &whole};
    enum err e = OK;
    if (compile_wait(thread_ctx->compiling, &row->id, row->version, waiting))
        return OK;
    void *scratch = talloc_new(NULL);
    if (!row->manifest)
        e = skill_get_version(thread_ctx->db, scratch, workspace, &row->id, row->version, &whole);
    if (e == OK)
        compile_for_job(thread_ctx, &source, waiting);
    talloc_free(scratch);
    return e;
}

struct compile_job *compile_take(struct compile_jobs *all)
{
    struct compile_job *job = (struct compile_job *)compute_returns_take(all->returns);
    if (job)
        TAILQ_REMOVE(&all->out, job, out_link);
    return job;
}
