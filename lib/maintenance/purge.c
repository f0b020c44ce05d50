#include "maintenance/purge.h"

#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "redis/keys.h"
#include "run/states.h"

struct purge_cleanup {
    struct blob_id *blobs;
    size_t blobs_n;
    /* Redis keys of cached responses. */
    struct redis_arg *replays;
    size_t replays_n;
};

struct purge_cleanup *purge_cleanup_new(void *ctx)
{
    return talloc_zero(ctx, struct purge_cleanup);
}

void purge_cleanup_run(struct purge_cleanup *cleanup, struct db *db, struct redis *redis,
                       struct blob_store *blobs)
{
    for (size_t i = 0; redis && i < cleanup->replays_n; i++) {
        struct redis_arg forget[] = {redis_text("DEL"), cleanup->replays[i]};
        redis_queue(redis, forget, 2);
    }
    if (redis && cleanup->replays_n > 0)
        redis_flush(redis);
    if (blobs)
        blob_remove_unused(blobs, db, cleanup->blobs, cleanup->blobs_n);
}

enum err purge_lock(struct db_tx *tx, const id *workspace, const struct db_value *ids, size_t n,
                    struct db_rows **rows_r)
{
    struct db_value ws = db_id(workspace);
    return db_run_each(tx->db, tx->ctx, SQL_PURGE_LOCK, &ws, 1, ids, 1, n, rows_r);
}

static enum err collect_blobs(struct db_tx *tx, struct purge_cleanup *cleanup, enum sql_id query,
                              const struct db_value *ids, size_t n)
{
    struct db_rows *rows;
    enum err e = db_run_each(tx->db, tx->ctx, query, NULL, 0, ids, 1, n, &rows);
    if (e != OK || rows->count == 0)
        return e;
    cleanup->blobs = talloc_realloc(cleanup, cleanup->blobs, struct blob_id, cleanup->blobs_n + rows->count);
    for (size_t i = 0; i < rows->count; i++) {
        struct blob_id *blob = &cleanup->blobs[cleanup->blobs_n++];
        memcpy(blob->sha256, db_str(rows, i, PURGE_ARTIFACTS_SHA256), BLOB_HASH);
        blob->size = db_int(rows, i, PURGE_ARTIFACTS_SIZE);
    }
    return OK;
}

static enum err collect_replays(struct db_tx *tx, struct purge_cleanup *cleanup, const struct db_value *ids,
                                size_t n)
{
    struct db_rows *rows;
    enum err e = db_run_each(tx->db, tx->ctx, SQL_PURGE_KEYS, NULL, 0, ids, 1, n, &rows);
    if (e != OK || rows->count == 0)
        return e;
    cleanup->replays =
        talloc_realloc(cleanup, cleanup->replays, struct redis_arg, cleanup->replays_n + rows->count);
    for (size_t i = 0; i < rows->count; i++) {
        id workspace = db_get_id(rows, i, PURGE_KEYS_WORKSPACE_ID);
        const struct db_cell *key = db_cell(rows, i, PURGE_KEYS_IDEMPOTENCY_KEY);
        cleanup->replays[cleanup->replays_n++] = redis_key_replay(cleanup, &workspace, key->text, key->size);
    }
    return OK;
}

static enum err collect_cleanup(struct db_tx *tx, struct purge_cleanup *cleanup, const struct db_value *ids,
                                size_t n)
{
    enum err e = collect_blobs(tx, cleanup, SQL_PURGE_ARTIFACTS, ids, n);
    if (e == OK)
        e = collect_blobs(tx, cleanup, SQL_PURGE_LOGS, ids, n);
    return e == OK ? collect_replays(tx, cleanup, ids, n) : e;
}

static enum err run_deletes(struct db_tx *tx, const enum sql_id *queries, size_t queries_n,
                            const struct db_value *ids, size_t n)
{
    enum err e = OK;
    for (size_t i = 0; e == OK && i < queries_n; i++)
        e = db_run_each(tx->db, tx->ctx, queries[i], NULL, 0, ids, 1, n, NULL);
    return e;
}

enum err purge_runs(struct db_tx *tx, struct purge_cleanup *cleanup, const struct db_value *ids, size_t n)
{
    static const enum sql_id erase[] = {
        SQL_PURGE_TAGS,  SQL_PURGE_STEPS,  SQL_PURGE_ARTIFACT_ROWS,
        SQL_PURGE_USAGE, SQL_PURGE_EVENTS, SQL_PURGE_ANSWERS,
    };
    int64_t now_ms = clock_wall_ms();
    struct db_value marks[] = {db_number(now_ms), db_number(now_ms)};
    enum err e = collect_cleanup(tx, cleanup, ids, n);
    if (e == OK)
        e = run_deletes(tx, erase, sizeof erase / sizeof *erase, ids, n);
    return e == OK ? db_run_each(tx->db, tx->ctx, SQL_PURGE_MARK, marks, 2, ids, 1, n, NULL) : e;
}

enum err purge_remove(struct db_tx *tx, struct purge_cleanup *cleanup, const struct db_value *ids, size_t n)
{
    static const enum sql_id erase[] = {
        SQL_PURGE_TAGS,
        SQL_PURGE_ARTIFACT_ROWS,
        SQL_PURGE_REMOVE_STEPS,
        SQL_PURGE_REMOVE_USAGE,
        SQL_PURGE_REMOVE_CHATS,
        SQL_PURGE_REMOVE_EVENTS,
        SQL_PURGE_REMOVE_CHILDREN,
        SQL_PURGE_REMOVE_KEYS,
        SQL_PURGE_REMOVE_EXECUTIONS,
    };
    enum err e = collect_cleanup(tx, cleanup, ids, n);
    return e == OK ? run_deletes(tx, erase, sizeof erase / sizeof *erase, ids, n) : e;
}

struct purge {
    const id *workspace, *execution;
    void *ctx;
    struct purge_cleanup *cleanup;
};

static enum err purge_work(struct db_tx *tx, void *arg)
{
    struct purge *p = arg;
    struct db_value one = db_id(p->execution);
    struct db_rows *rows;
    p->cleanup = purge_cleanup_new(p->ctx);
    enum err e = purge_lock(tx, p->workspace, &one, 1, &rows);
    if (e != OK || rows->count == 0)
        return e == OK ? ERR_NOT_FOUND : e;
    if (!state_is_terminal((enum run_state)db_int(rows, 0, PURGE_LOCK_STATE)))
        return ERR_CONFLICT;
    return db_cell(rows, 0, PURGE_LOCK_PURGED_MS)->is_null ? purge_runs(tx, p->cleanup, &one, 1) : OK;
}

enum err purge_execution(struct db *db, struct redis *redis, struct blob_store *blobs, const id *workspace,
                         const id *execution)
{
    struct purge p = {workspace, execution, talloc_new(NULL), NULL};
    enum err e = db_transaction(db, purge_work, &p);
    if (e == OK)
        purge_cleanup_run(p.cleanup, db, redis, blobs);
    talloc_free(p.ctx);
    return e;
}
