/* The audit checks the invariants of docs/correctness.md with set-based queries
 * (sql/queries/maintenance/audit_*.sql). Each query reads one consistent snapshot, so the audit may run while
 * Millrace is working. Large tables are read for all of their checks together (audit_prove_*.sql); a check
 * that may be violated then runs its own query. Invariants that hold only while no run is active are checked
 * on demand (at_rest). */
#pragma once

#include "mariadb/db.h"
#include "redis/redis.h"

/* The queries of large tables each keep a processor busy. */
enum { AUDIT_CONNECTIONS_MAX = 8 };

struct audit_options {
    /* Queries that run at a time, 1 to AUDIT_CONNECTIONS_MAX, each on a connection of its own; 0: one. */
    unsigned connections;
    /* Invariant 5: a deadline before this wall time is past its grace period. */
    int64_t deadline_before_ms;
    /* Also check invariant 8, which holds only while no run is active. */
    bool at_rest;
    /* At rest: the directory of skill runs, which must be empty. */
    const char *run_dir;
    /* executor.runner_socket */
    const char *runner_socket;
    /* Invariant 9: the directory of the blobs, readable by this process. */
    const struct config *config;
    /* The files were copied after the rows, as for a backup: there may be blobs that have no row. */
    bool files_are_newer;
    /* Invariant 1: the ids returned with 201 or 202. */
    const id *acknowledged;
    size_t acknowledged_n;
};

struct audit_violation {
    int invariant;
    /* Name of the check. */
    const char *check;
    /* Of the row (an execution, a workspace …), or the name of the thing that was checked. */
    const char *id;
    const char *detail;
};

struct audit_check {
    int invariant;
    const char *name, *promise;
    size_t violations;
    int64_t took_ms;
};

struct audit {
    struct audit_check *checks;
    size_t checks_n;
    struct audit_violation *violations;
    size_t violations_n;
};

/* Returns OK also if violations were found; an error comes from MariaDB. `redis` must not be NULL; if Redis
 * is unreachable during an at-rest audit, that is reported as a violation. Everything is allocated on ctx. */
enum err audit_run(struct db *db, struct redis *redis, void *ctx, const struct audit_options *options,
                   struct audit **audit_r) WARN_UNUSED;
