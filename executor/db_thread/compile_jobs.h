/* Large programs that the compute thread compiles, so that neither the transaction that claims their runs nor
 * any commit waits for it. Such a run stays queued and is claimed when its program is in the cache.
 * Database thread only, except where it says otherwise. */
#pragma once

#include "base/memory_budget.h"
#include "executor/cache/programs.h"
#include "service/compute_thread.h"

/* Runs that wait for one program; the scan of MariaDB finds further ones. */
enum { COMPILE_RUNS_MAX = 64 };

struct compile_jobs;

/* A program that is to be compiled, of a talloc context of its own. */
struct compile_job {
    struct compute_job compute; /* first; compile_submit fills it in */
    id workspace_id;
    id workflow;
    int version;
    const char *text;
    size_t size;
    /* Queued runs of it. */
    id runs[COMPILE_RUNS_MAX];
    size_t runs_n;
    /* Its memory, which is given back when the job is freed; NULL: not counted. */
    struct memory_budget *memory;
    size_t memory_bytes;
    /* The result, a reference of the job; NULL: it does not compile (logged). */
    struct cached_program *program;
    struct compile_jobs *all;
    TAILQ_ENTRY(compile_job) out_link;
    STAILQ_ENTRY(compile_job) finished_link;
};

/* `on_compiled` is called on the compute thread when a program is finished. */
struct compile_jobs *compile_jobs_new(void *ctx, struct compute_thread *compute,
                                      void (*on_compiled)(void *arg), void *arg);
/* After the end of the compute thread, which keeps the jobs that it has not finished. Any thread. */
void compile_jobs_free(struct compile_jobs *all);
/* True: this version is being compiled, and the run is noted with it. */
bool compile_join(struct compile_jobs *all, const id *workflow, int version, const id *run);
/* The job was admitted as a holder of `bytes`; it leaves when it is freed. */
void compile_job_count(struct compile_job *job, struct memory_budget *memory, size_t bytes);
/* Takes over the job. */
void compile_submit(struct compile_jobs *all, struct compile_job *job);
/* A finished job, which the caller frees; NULL: none. */
struct compile_job *compile_take(struct compile_jobs *all);
