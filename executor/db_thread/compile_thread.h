/* Compiles large programs on a thread of its own, so that neither the transaction that claims their runs nor
 * any commit waits for it. Such a run stays queued and is claimed when its program is in the cache.
 * Database thread only, except where it says otherwise. */
#pragma once

#include <sys/queue.h>

#include "executor/cache/programs.h"

/* Runs that wait for one program; the scan of MariaDB finds further ones. */
enum { COMPILE_RUNS_MAX = 64 };

struct compile_thread;

/* A program that is to be compiled, of a talloc context of its own. */
struct compile_job {
    id workflow;
    int version;
    const char *text;
    size_t size;
    /* Queued runs of it. */
    id runs[COMPILE_RUNS_MAX];
    size_t runs_n;
    /* The result; it belongs to who takes the job. NULL: it does not compile (logged). */
    struct cached_program *program;
    STAILQ_ENTRY(compile_job) next;
};

/* `on_compiled` is called on that thread when a job is finished. NULL: the thread cannot be started. */
struct compile_thread *compile_thread_start(void *ctx, void (*on_compiled)(void *arg), void *arg);
/* Ends the thread: on_compiled is not called any more. What is submitted from now on is not compiled. */
void compile_thread_end(struct compile_thread *t);
/* After compile_thread_end: frees the jobs. */
void compile_thread_free(struct compile_thread *t);
/* True: this version is being compiled, and the run is noted with it. */
bool compile_thread_join(struct compile_thread *t, const id *workflow, int version, const id *run);
/* Takes over the job. */
void compile_thread_submit(struct compile_thread *t, struct compile_job *job);
/* A finished job, which the caller frees; NULL: none. */
struct compile_job *compile_thread_take(struct compile_thread *t);
