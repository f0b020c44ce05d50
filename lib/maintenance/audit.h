/* The audit: the invariants of the design as set-based queries (sql/queries/audit_*.sql), each consistent in
 * itself, so that it may run beside a working Millrace. What holds only when nothing is under way is looked
 * at on demand. */
#pragma once

#include "mariadb/db.h"
#include "redis/redis.h"

struct audit_options {
    int64_t deadline_before_ms; /* invariant 5: deadlines before this wall time are past their grace */
    bool at_rest;               /* also look at what only an idle system promises (8) */
    const char *run_dir;        /* at rest: the folder of skill runs, empty */
    const id *acknowledged;     /* invariant 1: ids ever answered with 201 or 202 */
    size_t acknowledged_n;
};

struct audit_violation {
    int invariant;
    const char *check; /* a word */
    const char *id;    /* of the row (an execution, a workspace …), or what stands for it */
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

/* OK also with violations; an error is one of MariaDB's. Redis may not be NULL; where it is away at rest,
 * that is a violation of its own. Everything is of ctx. */
enum err audit_run(struct db *db, struct redis *redis, void *ctx, const struct audit_options *options,
                   struct audit **audit_r) WARN_UNUSED;
