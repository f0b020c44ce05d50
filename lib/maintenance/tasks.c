#include "maintenance/tasks.h"

#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "redis/keys.h"

/* Accounts of one call of Redis. */
enum { CREDITS_CALL_MAX = 100 };

enum err maintenance_task_ensure(struct db *db, const char *task)
{
    struct db_value args[] = {
        [MAINTENANCE_TASK_INSERT_SET_NAME] = db_text(task),
        [MAINTENANCE_TASK_INSERT_SET_DUE_MS] = db_number(0),
    };
    return db_run(db, NULL, SQL_MAINTENANCE_TASK_INSERT, args, MAINTENANCE_TASK_INSERT_SET_COUNT, NULL);
}

bool maintenance_task_is_due(const struct maintenance_task *task, int64_t due_ms, int64_t now_ms)
{
    return due_ms <= now_ms || due_ms > now_ms + 2 * task->every_ms;
}

enum err maintenance_find_due(struct db *db, const struct maintenance_task *tasks, size_t n, bool *is_due_r)
{
    void *scratch = talloc_new(NULL);
    int64_t now_ms = clock_wall_ms();
    struct db_rows *rows;
    enum err e = db_run(db, scratch, SQL_MAINTENANCE_TASK_LIST, NULL, 0, &rows);
    for (size_t t = 0; t < n; t++) {
        is_due_r[t] = false;
        for (size_t r = 0; e == OK && r < rows->count; r++) {
            if (strcmp(db_str(rows, r, MAINTENANCE_TASK_LIST_NAME), tasks[t].name) == 0)
                is_due_r[t] =
                    maintenance_task_is_due(&tasks[t], db_int(rows, r, MAINTENANCE_TASK_LIST_DUE_MS), now_ms);
        }
    }
    talloc_free(scratch);
    return e;
}

static enum err task_claim_work(struct db_tx *tx, void *arg)
{
    const struct maintenance_task *task = arg;
    int64_t now_ms = clock_wall_ms();
    struct db_value name = db_text(task->name);
    struct db_value next[] = {db_number(now_ms + task->every_ms), name};
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_MAINTENANCE_TASK_LOCK, &name, 1, &rows);
    if (e == OK && (rows->count == 0 ||
                    !maintenance_task_is_due(task, db_int(rows, 0, MAINTENANCE_TASK_LOCK_DUE_MS), now_ms)))
        return ERR_NOT_FOUND;
    return e == OK ? db_run(tx->db, tx->ctx, SQL_MAINTENANCE_TASK_SCHEDULE, next, 2, NULL) : e;
}

enum err maintenance_task_claim(struct db *db, const struct maintenance_task *task)
{
    struct maintenance_task mine = *task;
    return db_transaction(db, task_claim_work, &mine);
}

enum err maintenance_task_schedule(struct db *db, const struct maintenance_task *task)
{
    struct db_value next[] = {db_number(clock_wall_ms() + task->every_ms), db_text(task->name)};
    return db_run(db, NULL, SQL_MAINTENANCE_TASK_SCHEDULE, next, 2, NULL);
}

static enum err delete_rows(struct db *db, enum sql_id query, uint64_t *n_r)
{
    void *scratch = talloc_new(NULL);
    struct db_rows *rows;
    enum err e = db_run(db, scratch, query, NULL, 0, &rows);
    *n_r = e == OK ? rows->affected : 0;
    talloc_free(scratch);
    return e;
}

enum err maintenance_delete_expired_keys(struct db *db, uint64_t *n_r)
{
    return delete_rows(db, SQL_MAINTENANCE_DELETE_EXPIRED_KEYS, n_r);
}

enum err maintenance_delete_expired_batches(struct db *db, uint64_t *n_r)
{
    return delete_rows(db, SQL_MAINTENANCE_DELETE_EXPIRED_BATCHES, n_r);
}

enum err maintenance_delete_ended_sessions(struct db *db, uint64_t *n_r)
{
    return delete_rows(db, SQL_MAINTENANCE_DELETE_ENDED_SESSIONS, n_r);
}

enum err maintenance_delete_old_occurrences(struct db *db, uint64_t *n_r)
{
    return delete_rows(db, SQL_MAINTENANCE_DELETE_OLD_OCCURRENCES, n_r);
}

enum err maintenance_delete_old_budget_periods(struct db *db, uint64_t *n_r)
{
    return delete_rows(db, SQL_MAINTENANCE_DELETE_OLD_BUDGET_PERIODS, n_r);
}

struct bulk_expiry {
    int64_t keep_ms;
    uint64_t n;
};

/* Items first: a job whose deletion is interrupted still stands for the rest. */
static enum err bulk_expire_work(struct db_tx *tx, void *arg)
{
    struct bulk_expiry *x = arg;
    struct db_value keep = db_number(x->keep_ms);
    struct db_rows *rows;
    x->n = 0;
    enum err e = db_run(tx->db, tx->ctx, SQL_BULK_EXPIRED, &keep, 1, &rows);
    if (e != OK || rows->count == 0)
        return e == OK ? ERR_NOT_FOUND : e;
    id found = db_get_id(rows, 0, BULK_EXPIRED_ID);
    struct db_value job = db_id(&found);
    e = db_run(tx->db, tx->ctx, SQL_BULK_DELETE_ITEMS, &job, 1, &rows);
    if (e != OK)
        return e;
    x->n = rows->affected;
    if (x->n == MAINTENANCE_ROWS_MAX)
        return OK;
    e = db_run(tx->db, tx->ctx, SQL_BULK_DELETE_COUNTS, &job, 1, NULL);
    return e == OK ? db_run(tx->db, tx->ctx, SQL_BULK_DELETE_JOB, &job, 1, NULL) : e;
}

enum err maintenance_delete_old_bulk_jobs(struct db *db, int64_t keep_ms, uint64_t *n_r)
{
    struct bulk_expiry x = {.keep_ms = keep_ms};
    enum err e = db_transaction(db, bulk_expire_work, &x);
    *n_r = e == OK ? x.n : 0;
    return e;
}

enum err maintenance_delete_lost_executors(struct db *db, uint64_t *n_r)
{
    return delete_rows(db, SQL_MAINTENANCE_DELETE_LOST_EXECUTORS, n_r);
}

/* One script for many accounts. redis_eval sends a script again that Redis has lost. */
static enum err set_credits(struct redis *redis, void *ctx, const struct db_rows *rows, size_t first,
                            size_t n)
{
    struct redis_arg args[3 * CREDITS_CALL_MAX];
    struct redis_value answer;
    for (size_t i = 0; i < n; i++) {
        id workspace = db_get_id(rows, first + i, MAINTENANCE_BALANCES_WORKSPACE_ID);
        args[i] = redis_key_credits(ctx, &workspace);
        args[n + 2 * i] = redis_number(ctx, db_int(rows, first + i, MAINTENANCE_BALANCES_BALANCE));
        args[n + 2 * i + 1] = redis_number(ctx, db_int(rows, first + i, MAINTENANCE_BALANCES_VERSION));
    }
    enum err e = redis_eval(redis, ctx, LUA_CREDITS_SET, args, n, 2 * n, &answer);
    return e == ERR_UNAVAILABLE ? e : OK;
}

enum err maintenance_refresh_credits(struct db *db, struct redis *redis, id *after, uint64_t *n_r)
{
    void *scratch = talloc_new(NULL);
    struct db_value from = id_is_set(after) ? db_id(after) : db_text("00000000-0000-0000-0000-000000000000");
    struct db_rows *rows;
    enum err e = db_run(db, scratch, SQL_MAINTENANCE_BALANCES, &from, 1, &rows);
    *n_r = e == OK ? rows->count : 0;
    for (size_t at = 0, n; e == OK && at < *n_r; at += n) {
        n = *n_r - at < CREDITS_CALL_MAX ? *n_r - at : CREDITS_CALL_MAX;
        e = set_credits(redis, scratch, rows, at, n);
        *after = db_get_id(rows, at + n - 1, MAINTENANCE_BALANCES_WORKSPACE_ID);
    }
    talloc_free(scratch);
    return e;
}
