/* Recovers the runs of an executor: those of a lost executor are requeued or, after too many losses, failed;
 * an executor that shuts down releases its own. Events are published after each commit, if `redis` is not
 * NULL. */
#pragma once

#include "run/run_tx.h"

/* Releases up to 64 runs of the executor, oldest first: queued, attempt + 1. *n_r: how many it had, at most
 * 64. */
enum err executor_release_runs(struct db *db, struct redis *redis, uint64_t executor,
                               size_t *n_r) WARN_UNUSED;
/* Requeues these `n` runs of the executor as lost: queued, attempt + 1, lost_count + 1. A run that would be
 * lost for the max_lost-th time fails with executor_lost instead, and its descendants are stopped. Runs that
 * are no longer running on the executor are left alone. */
enum err executor_requeue_runs(struct db *db, struct redis *redis, uint64_t executor, const id *runs,
                               size_t n, int max_lost) WARN_UNUSED;
/* For a run that a process was beginning, in a claim that was not written, when it died: if it is still
 * queued at this attempt, it is claimed by `executor` and requeued as lost, so that it counts a loss as any
 * other run of a lost executor. If the process dies in between, the run is one of its runs. */
enum err executor_requeue_begun_run(struct db *db, struct redis *redis, uint64_t executor, const id *run,
                                    int attempt, int max_lost) WARN_UNUSED;
/* Requeues all runs of executors that are marked as lost or have no row. *n_r: how many. */
enum err executor_requeue_orphans(struct db *db, struct redis *redis, int max_lost, size_t *n_r) WARN_UNUSED;

enum recover_action { RECOVER_SKIP, RECOVER_MOVE, RECOVER_FAIL };
/* What `move` (MOVE_REQUEUE_LOST or MOVE_RELEASE) does to a locked run of `executor`. Public for its unit
 * tests. */
enum recover_action recover_decide(const struct run *r, uint64_t executor, enum transition move,
                                   int max_lost);
