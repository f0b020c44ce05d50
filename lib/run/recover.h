/* Recovers the runs of an executor: those of a lost executor are requeued or, after too many losses, failed;
 * an executor that shuts down releases its own. Events are published after each commit, if `redis` is not
 * NULL. */
#pragma once

#include "run/run_tx.h"

/* Called before each transaction of a call that may take many: 64 runs that fail end one by one, each with
 * its tree. */
struct recover_watch {
    void (*on_transaction)(void *arg);
    void *arg;
};
/* The place in the list of an executor's runs, so that runs that stay as they are do not hold up those that
 * follow. Zeroed at first. */
struct recover_cursor {
    uint64_t executor;
    id workspace, run;
};

/* Releases the next 64 runs of c->executor: queued, attempt + 1. *n_r: how many were left, at most 64; 0:
 * the cursor is at the end. After a transient error the cursor stays. A run that MariaDB refuses is logged
 * and left to executor_requeue_orphans. */
enum err executor_release_runs(struct db *db, struct redis *redis, struct recover_cursor *c,
                               size_t *n_r) WARN_UNUSED;
/* Requeues these `n` runs of the executor as lost: queued, attempt + 1, lost_count + 1. A run that would be
 * lost for the max_lost-th time fails with executor_lost instead, and its descendants are stopped. Runs that
 * are no longer running on the executor are left alone; of several runs, one that fails to be requeued is
 * logged, and the others go on. `watch` may be NULL. */
enum err executor_requeue_runs(struct db *db, struct redis *redis, uint64_t executor, const id *runs,
                               size_t n, int max_lost, const struct recover_watch *watch) WARN_UNUSED;
/* For a run that a process was beginning, in a claim that was not written, when it died: if it is still
 * queued at this attempt, it is claimed by `executor` and requeued as lost, so that it counts a loss as any
 * other run of a lost executor. If the process dies in between, the run is one of its runs. */
enum err executor_requeue_begun_run(struct db *db, struct redis *redis, uint64_t executor, const id *run,
                                    int attempt, int max_lost) WARN_UNUSED;
/* Requeues the next runs, at most 64, of executors that are marked as lost or have no row. *n_r: how many
 * there were. ERR_NOT_FOUND: there are none behind the cursor. A run that fails to be requeued is logged and
 * found again by a new cursor. `watch` may be NULL. */
enum err executor_requeue_orphans(struct db *db, struct redis *redis, struct recover_cursor *c, int max_lost,
                                  const struct recover_watch *watch, size_t *n_r) WARN_UNUSED;

enum recover_action { RECOVER_SKIP, RECOVER_MOVE, RECOVER_FAIL };
/* What `move` (MOVE_REQUEUE_LOST or MOVE_RELEASE) does to a locked run of `executor`. Public for its unit
 * tests. */
enum recover_action recover_decide(const struct run *r, uint64_t executor, enum transition move,
                                   int max_lost);
