/* Executor processes in MariaDB: a row with a counter that grows while they live, and the runs that are
 * theirs. Every function is one transaction, or a few small ones. */
#pragma once

#include "run/run_tx.h"

/* A new row. */
enum err executor_register(struct db *db, const char *host, int pid, uint64_t *executor_r) WARN_UNUSED;
/* Takes the row away: the process has no runs and ends. */
enum err executor_unregister(struct db *db, uint64_t executor) WARN_UNUSED;
/* ERR_CONFLICT: it counts as lost, and must not act any more. */
enum err executor_heartbeat(struct db *db, uint64_t executor) WARN_UNUSED;

struct executor_run {
    id id;
    int attempt;
};
/* What MariaDB takes for running on it. Of ctx. */
enum err executor_runs(struct db *db, void *ctx, uint64_t executor, struct executor_run **runs_r,
                       size_t *n_r) WARN_UNUSED;

struct executor_peer {
    uint64_t executor;
    int64_t beat;
};
/* All that do not count as lost. Of ctx. */
enum err executor_peers(struct db *db, void *ctx, struct executor_peer **peers_r, size_t *n_r) WARN_UNUSED;
/* Counts as lost from now on, if its counter still stands at `beat`. ERR_CONFLICT: it has moved, or somebody
 * was faster. */
enum err executor_mark_lost(struct db *db, uint64_t executor, int64_t beat) WARN_UNUSED;

/* Hands up to 64 of its runs back (attempt + 1), oldest first. *n_r: how many there were. */
enum err executor_release_runs(struct db *db, struct redis *redis, uint64_t executor,
                               size_t *n_r) WARN_UNUSED;
/* Queues these runs again as lost by it (attempt + 1, losses + 1); those lost `max_lost` times fail, and
 * what runs below them is stopped. Runs that are not its any more are left alone. */
enum err executor_requeue_runs(struct db *db, struct redis *redis, uint64_t executor, const id *runs,
                               size_t n, int max_lost) WARN_UNUSED;
/* Does so with all runs of executors that count as lost, or have no row. *n_r: how many. */
enum err executor_requeue_orphans(struct db *db, struct redis *redis, int max_lost, size_t *n_r) WARN_UNUSED;
