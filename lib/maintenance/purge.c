#include "maintenance/purge.h"

#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "redis/keys.h"
#include "run/states.h"

struct purge_rest {
    struct blob_id *blobs;
    size_t blobs_n;
    struct redis_arg *replays; /* keys of Redis */
    size_t replays_n;
};

struct purge_rest *purge_rest_new(void *ctx)
{
    return talloc_zero(ctx, struct purge_rest);
}

void purge_rest_finish(struct purge_rest *rest, struct db *db, struct redis *redis, struct blob_store *blobs)
{
    for (size_t i = 0; redis && i < rest->replays_n; i++) {
        struct redis_arg forget[] = {redis_text("DEL"), rest->replays[i]};
        redis_queue(redis, forget, 2);
    }
    if (redis && rest->replays_n > 0)
        redis_flush(redis);
    if (blobs)
        blob_remove_unused(blobs, db, rest->blobs, rest->blobs_n);
}

enum err purge_lock(struct db_tx *tx, const id *workspace, const struct db_value *ids, size_t n,
                    struct db_rows **rows_r)
{
    struct db_value ws = db_id(workspace);
    return db_run_each(tx->db, tx->ctx, SQL_PURGE_LOCK, &ws, 1, ids, 1, n, rows_r);
}

static enum err gather_blobs(struct db_tx *tx, struct purge_rest *rest, enum sql_id query,
                             const struct db_value *ids, size_t n)
{
    struct db_rows *rows;
    enum err e = db_run_each(tx->db, tx->ctx, query, NULL, 0, ids, 1, n, &rows);
    if (e != OK || rows->count == 0)
        return e;
    rest->blobs = talloc_realloc(rest, rest->blobs, struct blob_id, rest->blobs_n + rows->count);
    for (size_t i = 0; i < rows->count; i++) {
        struct blob_id *blob = &rest->blobs[rest->blobs_n++];
        memcpy(blob->sha256, db_str(rows, i, 0), BLOB_HASH);
        blob->size = db_int(rows, i, 1);
    }
    return OK;
}

static enum err gather_replays(struct db_tx *tx, struct purge_rest *rest, const struct db_value *ids,
                               size_t n)
{
    struct db_rows *rows;
    enum err e = db_run_each(tx->db, tx->ctx, SQL_PURGE_KEYS, NULL, 0, ids, 1, n, &rows);
    if (e != OK || rows->count == 0)
        return e;
    rest->replays = talloc_realloc(rest, rest->replays, struct redis_arg, rest->replays_n + rows->count);
    for (size_t i = 0; i < rows->count; i++) {
        id workspace = db_get_id(rows, i, 0);
        const struct db_cell *key = db_cell(rows, i, 1);
        rest->replays[rest->replays_n++] = redis_key_replay(rest, &workspace, key->text, key->size);
    }
    return OK;
}

static enum err gather(struct db_tx *tx, struct purge_rest *rest, const struct db_value *ids, size_t n)
{
    enum err e = gather_blobs(tx, rest, SQL_PURGE_ARTIFACTS, ids, n);
    if (e == OK)
        e = gather_blobs(tx, rest, SQL_PURGE_LOGS, ids, n);
    return e == OK ? gather_replays(tx, rest, ids, n) : e;
}

static enum err run_all(struct db_tx *tx, const enum sql_id *queries, size_t queries_n,
                        const struct db_value *ids, size_t n)
{
    enum err e = OK;
    for (size_t i = 0; e == OK && i < queries_n; i++)
        e = db_run_each(tx->db, tx->ctx, queries[i], NULL, 0, ids, 1, n, NULL);
    return e;
}

enum err purge_runs(struct db_tx *tx, struct purge_rest *rest, const struct db_value *ids, size_t n)
{
    static const enum sql_id erase[] = {
        SQL_PURGE_TAGS,  SQL_PURGE_STEPS,  SQL_PURGE_ARTIFACT_ROWS,
        SQL_PURGE_USAGE, SQL_PURGE_EVENTS, SQL_PURGE_ANSWERS,
    };
    int64_t now_ms = clock_wall_ms();
    struct db_value marks[] = {db_number(now_ms), db_number(now_ms)};
    enum err e = gather(tx, rest, ids, n);
    if (e == OK)
        e = run_all(tx, erase, sizeof erase / sizeof *erase, ids, n);
    return e == OK ? db_run_each(tx->db, tx->ctx, SQL_PURGE_MARK, marks, 2, ids, 1, n, NULL) : e;
}

enum err purge_remove(struct db_tx *tx, struct purge_rest *rest, const struct db_value *ids, size_t n)
{
    static const enum sql_id erase[] = {
        SQL_PURGE_TAGS,    SQL_PURGE_ARTIFACT_ROWS, SQL_REMOVE_STEPS, SQL_REMOVE_USAGE,      SQL_REMOVE_CHATS,
        SQL_REMOVE_EVENTS, SQL_REMOVE_CHILDREN,     SQL_REMOVE_KEYS,  SQL_REMOVE_EXECUTIONS,
    };
    enum err e = gather(tx, rest, ids, n);
    return e == OK ? run_all(tx, erase, sizeof erase / sizeof *erase, ids, n) : e;
}

struct purge {
    const id *workspace, *execution;
    void *ctx;
    struct purge_rest *rest;
};

static enum err work(struct db_tx *tx, void *arg)
{
    struct purge *p = arg;
    struct db_value one = db_id(p->execution);
    struct db_rows *rows;
    p->rest = purge_rest_new(p->ctx);
    enum err e = purge_lock(tx, p->workspace, &one, 1, &rows);
    if (e != OK || rows->count == 0)
        return e == OK ? ERR_NOT_FOUND : e;
    if (!state_is_terminal((enum state)db_int(rows, 0, 1)))
        return ERR_CONFLICT;
    return db_cell(rows, 0, 2)->is_null ? purge_runs(tx, p->rest, &one, 1) : OK;
}

enum err purge_execution(struct db *db, struct redis *redis, struct blob_store *blobs, const id *workspace,
                         const id *execution)
{
    struct purge p = {workspace, execution, talloc_new(NULL), NULL};
    enum err e = db_transaction(db, work, &p);
    if (e == OK)
        purge_rest_finish(p.rest, db, redis, blobs);
    talloc_free(p.ctx);
    return e;
}
