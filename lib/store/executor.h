/* Executor processes in MariaDB: each has a row with a counter that grows while the process is alive. Their
 * runs: lib/run/recover.h. Every function is one statement. */
#pragma once

#include "mariadb/db.h"

/* Inserts the row of a process; MariaDB chooses the executor's id. */
enum err executor_register(struct db *db, const char *host, int pid, int64_t lease_ms,
                           uint64_t *executor_r) WARN_UNUSED;
/* Deletes the row. The process must have no runs. */
enum err executor_unregister(struct db *db, uint64_t executor) WARN_UNUSED;
/* For GET /metrics: HTTP requests that have one of the places, that wait for one, the places, and runner
 * processes. */
struct executor_load {
    int64_t http_in_flight, http_waiting, http_max, commands;
};
/* Increments the counter. ERR_CONFLICT: the executor is marked as lost and must not act any more. */
enum err executor_heartbeat(struct db *db, uint64_t executor, const struct executor_load *load) WARN_UNUSED;
/* True if an executor process is alive, as far as its heartbeats tell (of its lease and 5 s more). For
 * display only. */
enum err executor_any_alive(struct db *db, bool *alive_r) WARN_UNUSED;

struct executor_run {
    id id;
    int attempt;
};
/* The runs that MariaDB has as running on the executor, oldest first, on ctx. */
enum err executor_runs(struct db *db, void *ctx, uint64_t executor, struct executor_run **runs_r,
                       size_t *n_r) WARN_UNUSED;

struct executor_peer {
    uint64_t executor;
    int64_t beat;
    /* how long after a heartbeat the process may act */
    int64_t lease_ms;
};
/* All executors that are not marked as lost, on ctx. */
enum err executor_peers(struct db *db, void *ctx, struct executor_peer **peers_r, size_t *n_r) WARN_UNUSED;
/* Marks the executor as lost if its counter still is `beat`. ERR_CONFLICT: the counter has moved, or another
 * process has marked it already. */
enum err executor_mark_lost(struct db *db, uint64_t executor, int64_t beat) WARN_UNUSED;
