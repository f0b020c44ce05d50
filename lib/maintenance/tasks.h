/* Periodic tasks: the rows that say when each is due, and the tasks that are one statement. Any executor may
 * run a task. */
#pragma once

#include "mariadb/db.h"
#include "redis/redis.h"

/* Rows a transaction. */
enum {
    MAINTENANCE_ROWS_MAX = 500,
    /* Rows of `batches`, of which each may hold megabytes of results. */
    MAINTENANCE_BATCHES_MAX = 20,
};

/* Inserts the row of a task if it does not exist. */
enum err maintenance_task_ensure(struct db *db, const char *task) WARN_UNUSED;
struct maintenance_task {
    const char *name;
    int64_t every_ms;
};
/* True if due_ms has come. A time more than two periods ahead was written before the clock was set back: such
 * a task is due, too. */
bool maintenance_task_is_due(const struct maintenance_task *task, int64_t due_ms, int64_t now_ms);
/* Sets is_due_r[i] for each task. Reads without a lock. */
enum err maintenance_find_due(struct db *db, const struct maintenance_task *tasks, size_t n,
                              bool *is_due_r) WARN_UNUSED;
/* Takes the task if it is due and no other process is taking it, and schedules it again in every_ms.
 * ERR_NOT_FOUND: it was not taken. */
enum err maintenance_task_claim(struct db *db, const struct maintenance_task *task) WARN_UNUSED;
/* For the process that has taken the task and is not finished: no other process takes it for every_ms. */
enum err maintenance_task_schedule(struct db *db, const struct maintenance_task *task) WARN_UNUSED;

/* Deletes idempotency keys that have expired by MariaDB's clock. *n_r: how many, at most
 * MAINTENANCE_ROWS_MAX; as many means that there may be more. */
enum err maintenance_delete_expired_keys(struct db *db, uint64_t *n_r) WARN_UNUSED;
/* The same for expired batches, at most MAINTENANCE_BATCHES_MAX. */
enum err maintenance_delete_expired_batches(struct db *db, uint64_t *n_r) WARN_UNUSED;
/* Deletes sessions of the console after their absolute end. *n_r as above. */
enum err maintenance_delete_ended_sessions(struct db *db, uint64_t *n_r) WARN_UNUSED;
/* Deletes occurrences of schedules that started no run and were decided 30 days ago. *n_r as above. */
enum err maintenance_delete_old_occurrences(struct db *db, uint64_t *n_r) WARN_UNUSED;
/* Deletes the counters of periods of budgets that ended 400 days ago. *n_r as above. */
enum err maintenance_delete_old_budget_periods(struct db *db, uint64_t *n_r) WARN_UNUSED;
/* Deletes rows of bulk jobs that ended `keep_ms` ago: items, and after the last one the job. *n_r: items, at
 * most MAINTENANCE_ROWS_MAX. ERR_NOT_FOUND: no job is that old. */
enum err maintenance_delete_old_bulk_jobs(struct db *db, int64_t keep_ms, uint64_t *n_r) WARN_UNUSED;
/* Deletes executors that were marked as lost a day ago. */
enum err maintenance_delete_lost_executors(struct db *db, uint64_t *n_r) WARN_UNUSED;
/* Copies the balances of at most MAINTENANCE_ROWS_MAX accounts after `after` (unset: from the first) to
 * Redis, which keeps a newer version. *after is advanced; *n_r is the number of accounts. */
enum err maintenance_refresh_credits(struct db *db, struct redis *redis, id *after,
                                     uint64_t *n_r) WARN_UNUSED;
