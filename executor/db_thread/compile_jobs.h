/* Large programs and manifests that the compute thread compiles, so that neither the transaction that claims
 * their runs nor any commit waits for it. Such a run stays queued and is claimed when what it needs is in the
 * cache; a job that needs it is done then. Used by the thread that owns the cache, the database thread or the
 * maintenance thread, except where it says otherwise. */
#pragma once

#include "base/memory_budget.h"
#include "executor/cache/programs.h"
#include "executor/cache/skills.h"
#include "executor/db_thread/compute_returns.h"
#include "executor/db_thread/job.h"

/* Runs that wait for one program; the scan of MariaDB finds further ones. */
enum { COMPILE_RUNS_MAX = 64 };

/* A version of a workflow, or of a skill. */
struct compile_source {
    id workspace_id;
    id responder;
    int version;
    /* Of a workflow. */
    const char *program;
    size_t program_size;
    /* Of a skill; NULL: a workflow. */
    const struct skill *skill;
};

/* A program or manifest to compile. */
struct compile_job {
    struct compute_return compute; /* first */
    struct compile_source source;
    /* Queued runs of it. */
    id runs[COMPILE_RUNS_MAX];
    size_t runs_n;
    /* Jobs that are to be done again once it is in the cache; they belong to this one. */
    struct thread_job_list waiting;
    /* Its memory, which is given back when the job is freed; NULL: not counted. */
    struct memory_budget *memory;
    size_t memory_bytes;
    /* The result, a reference of the job, until compile_job_add; both NULL: it does not compile (logged). */
    struct cached_program *program;
    struct cached_skill *skill;
    TAILQ_ENTRY(compile_job) out_link;
};

struct compile_jobs;

/* `on_compiled` is called on the compute thread when a job is finished. */
struct compile_jobs *compile_jobs_new(void *ctx, struct compute_thread *compute,
                                      void (*on_compiled)(void *arg), void *arg);
/* After the end of the compute thread, which keeps the jobs that it has not finished. Any thread. */
void compile_jobs_free(struct compile_jobs *all);
/* Copies what it needs of the source. */
struct compile_job *compile_job_new(void *ctx, const struct compile_source *source);
/* Bytes of memory that the compilation takes, by estimate. */
size_t compile_source_estimate(const struct compile_source *source);
/* The job was admitted as a holder of `bytes`; it leaves when it is freed. */
void compile_job_count(struct compile_job *job, struct memory_budget *memory, size_t bytes);
/* True: this version is being compiled, and the run is noted with it. */
bool compile_join(struct compile_jobs *all, const id *responder, int version, const id *run);
/* Takes over the job. */
void compile_submit(struct compile_jobs *all, struct compile_job *job);
/* True: this version is being compiled, and `waiting` is taken over. Its text need not be read then.
 * `waiting` may be NULL here and below: nobody. */
bool compile_wait(struct compile_jobs *all, const id *responder, int version, struct job *waiting);
/* Takes over `waiting`, and compiles the version unless that is being done. */
void compile_for_job(struct db_thread_ctx *thread_ctx, const struct compile_source *source,
                     struct job *waiting);
/* The same for a skill as compiled_skills_find_within has left it. Its manifest is read if it was not and the
 * version is not being compiled already. Otherwise than OK, the error of the query, `waiting` is not taken
 * over. */
enum err compile_skill_for_job(struct db_thread_ctx *thread_ctx, const id *workspace, const struct skill *row,
                               struct job *waiting) WARN_UNUSED;
/* A finished job, which the caller frees; NULL: none. */
struct compile_job *compile_take(struct compile_jobs *all);
/* Puts the result into the cache. */
void compile_job_add(struct db_thread_ctx *thread_ctx, struct compile_job *job);
