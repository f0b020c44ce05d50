/* The processes of warm skills that wait for their next job (docs/skills.md, "Warm skills"). One pool for
 * each executor process. A worker is one runner with its sandbox; it serves one version of a skill, one
 * workspace and one principal. A worker that has a job belongs to the job's run; the others belong to the
 * pool, which bounds their number and their time. Loop thread only. */
#pragma once

#include "executor/io/runner_process.h"

struct warm_pool;
struct warm_worker;

struct warm_key {
    id workspace, principal, skill;
    int version;
};

/* Of one executor process. */
struct warm_pool *warm_pool_new(void *ctx, struct executor *exec);
/* Ends the workers that wait. Later ones are ended by warm_worker_give_back, because the executor is stopping
 * or fenced. NULL-safe. */
void warm_pool_close(struct warm_pool *pool);

/* The worker that has waited for the shortest time. NULL: none waits. Ends those of other versions. */
struct warm_worker *warm_pool_take(struct warm_pool *pool, const struct warm_key *key);
/* A worker whose process is started with its first job. */
struct warm_worker *warm_worker_new(struct warm_pool *pool, const struct warm_key *key);

/* Gives the worker a job (runner_job_new; borrowed) and returns its runner, which reports to `events`. NULL:
 * it could not be started (logged). */
struct runner_process *warm_worker_start(struct warm_worker *w, json_object *job,
                                         const struct runner_process_events *events, void *arg);
/* True if the worker has served a job before its current one. */
bool warm_worker_is_used(const struct warm_worker *w);
/* The folder that holds work/ of its jobs. */
const char *warm_worker_dir(const struct warm_worker *w);

/* These end what the caller may do with the worker; all are NULL-safe. */
/* Its job has ended, and nothing of it is needed any more. `reusable`: the runner reported that. */
void warm_worker_give_back(struct warm_worker *w, bool reusable);
/* Its runner belongs to another owner or has exited. */
void warm_worker_forget(struct warm_worker *w);

struct warm_pool_counts {
    size_t idle;
    /* jobs given to a new process and to one that had waited; processes that waited and were ended */
    int64_t cold_starts, warm_starts, ended_idle;
};
struct warm_pool_counts warm_pool_count(const struct warm_pool *pool);
