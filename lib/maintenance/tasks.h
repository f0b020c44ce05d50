/* Upkeep's own rows: when a task is due, and the tasks that are one statement each. */
#pragma once

#include "mariadb/db.h"
#include "redis/redis.h"

enum { MAINTENANCE_ROWS_MAX = 500 };

/* Makes the row of a task where there is none. */
enum err maintenance_task_ensure(struct db *db, const char *task) WARN_UNUSED;
struct maintenance_task {
    const char *name;
    int64_t every_ms;
};
/* Which of the tasks are due, without a lock: is_due_r[i]. */
enum err maintenance_find_due(struct db *db, const struct maintenance_task *tasks, size_t n,
                              bool *is_due_r) WARN_UNUSED;
/* Takes the task if it is due and nobody else has it: it is due again in every_ms. ERR_NOT_FOUND: not now.
 */
enum err maintenance_task_claim(struct db *db, const struct maintenance_task *task) WARN_UNUSED;

/* Deletes idempotency keys whose 24 hours are over. *n_r: how many, at most MAINTENANCE_ROWS_MAX. */
enum err maintenance_delete_expired_keys(struct db *db, uint64_t *n_r) WARN_UNUSED;
/* Deletes rows of executors that have been lost for a day. */
enum err maintenance_delete_lost_executors(struct db *db, uint64_t *n_r) WARN_UNUSED;
/* Tells Redis the balances of the accounts behind `after` (unset: from the first); what it has newer, it
 * keeps. *after is moved, *n_r is how many there were. */
enum err maintenance_refresh_credits(struct db *db, struct redis *redis, id *after,
                                     uint64_t *n_r) WARN_UNUSED;
