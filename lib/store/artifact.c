#include "store/artifact.h"

#include <string.h>
#include <talloc.h>

#include "blob/blob_rows.h"
#include "mariadb/db.h"

/* Rows of artifact_list or artifact_get. */
static struct artifact *artifacts_from_rows(void *ctx, const struct db_rows *rows)
{
    struct artifact *list = talloc_array(ctx, struct artifact, rows->count + 1);
    for (size_t i = 0; i < rows->count; i++) {
        list[i] = (struct artifact){
            .id = db_get_id(rows, i, ARTIFACT_LIST_ID),
            .relpath = db_str(rows, i, ARTIFACT_LIST_RELPATH),
            .media_type = db_str(rows, i, ARTIFACT_LIST_MEDIA_TYPE),
            .blob.size = db_int(rows, i, ARTIFACT_LIST_SIZE),
        };
        memcpy(list[i].blob.sha256, db_str(rows, i, ARTIFACT_LIST_SHA256), BLOB_HASH);
    }
    return list;
}

enum err artifact_list(struct db *db, void *ctx, const id *execution, struct artifact **list_r,
                       size_t *count_r)
{
    struct db_value arg = db_id(execution);
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_ARTIFACT_LIST, &arg, 1, &rows);
    if (e != OK)
        return e;
    *list_r = artifacts_from_rows(ctx, rows);
    *count_r = rows->count;
    return OK;
}

enum err artifact_get(struct db *db, void *ctx, const id *workspace, const id *execution, const id *artifact,
                      struct artifact *a_r)
{
    struct db_value args[] = {db_id(execution), db_id(artifact), db_id(workspace)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_ARTIFACT_GET, args, 3, &rows);
    if (e == OK && rows->count == 0)
        e = ERR_NOT_FOUND;
    if (e == OK)
        *a_r = artifacts_from_rows(ctx, rows)[0];
    return e;
}

void artifact_mark_dead(struct db_tx *tx, const struct db_rows *rows)
{
    struct blob_id *blobs = talloc_zero_array(tx->ctx, struct blob_id, rows->count + 1);
    for (size_t i = 0; i < rows->count; i++) {
        blobs[i].size = db_int(rows, i, ARTIFACT_BLOBS_SIZE);
        memcpy(blobs[i].sha256, db_str(rows, i, ARTIFACT_BLOBS_SHA256), BLOB_HASH);
    }
    blob_mark_dead(tx, blobs, rows->count);
}

static enum err discard(struct db_tx *tx, enum sql_id query, const struct db_value *executions, size_t n)
{
    struct db_rows *rows;
    enum err e = db_run_each(tx->db, tx->ctx, query, NULL, 0, executions, 1, n, &rows);
    if (e == OK)
        artifact_mark_dead(tx, rows);
    return e;
}

enum err artifact_discard(struct db_tx *tx, const struct db_value *executions, size_t n)
{
    return discard(tx, SQL_ARTIFACT_BLOBS, executions, n);
}

enum err usage_discard_log(struct db_tx *tx, const struct db_value *executions, size_t n)
{
    return discard(tx, SQL_USAGE_LOGS, executions, n);
}

enum err artifact_put_all(struct db_tx *tx, const id *execution, const struct artifact *list, size_t n)
{
    struct db_value owner = db_id(execution);
    struct blob_id *blobs = talloc_zero_array(tx->ctx, struct blob_id, n + 1);
    struct db_value *each = talloc_array(tx->ctx, struct db_value, ARTIFACT_INSERT_SET_COUNT * n + 1);
    for (size_t i = 0; i < n; i++) {
        struct db_value *v = &each[ARTIFACT_INSERT_SET_COUNT * i];
        v[ARTIFACT_INSERT_SET_EXECUTION_ID] = owner;
        v[ARTIFACT_INSERT_SET_ID] = db_id(&list[i].id);
        v[ARTIFACT_INSERT_SET_RELPATH] = db_text(list[i].relpath);
        v[ARTIFACT_INSERT_SET_MEDIA_TYPE] = db_text(list[i].media_type);
        v[ARTIFACT_INSERT_SET_SIZE] = db_number(list[i].blob.size);
        blobs[i] = list[i].blob;
        v[ARTIFACT_INSERT_SET_SHA256] = db_bytes(list[i].blob.sha256, BLOB_HASH);
    }
    enum err e = artifact_discard(tx, &owner, 1);
    if (e == OK)
        e = db_run(tx->db, tx->ctx, SQL_ARTIFACT_DELETE, &owner, 1, NULL);
    if (e == OK)
        e = db_run_each(tx->db, tx->ctx, SQL_ARTIFACT_INSERT, NULL, 0, each, ARTIFACT_INSERT_SET_COUNT, n,
                        NULL);
    blob_mark_used(tx, blobs, n);
    return e;
}

/* The values that usage_put_late sets, with which those of usage_put begin. */
static void usage_values(struct db_value v[USAGE_PUT_LATE_SET_COUNT], const struct usage *u)
{
    v[USAGE_PUT_LATE_SET_INPUT_TOKENS] = db_number(u->input_tokens);
    v[USAGE_PUT_LATE_SET_OUTPUT_TOKENS] = db_number(u->output_tokens);
    v[USAGE_PUT_LATE_SET_CACHED_TOKENS] = db_number(u->cached_tokens);
    v[USAGE_PUT_LATE_SET_COST] = db_number(u->cost);
    v[USAGE_PUT_LATE_SET_WALLCLOCK_MS] = db_number_or_null(u->wallclock_ms, u->has_wallclock);
    v[USAGE_PUT_LATE_SET_ITERATIONS] = db_number(u->iterations);
    v[USAGE_PUT_LATE_SET_TRACE_ID] = db_text(u->trace_id);
    v[USAGE_PUT_LATE_SET_LOG_SHA256] = u->has_log ? db_bytes(u->log.sha256, BLOB_HASH) : db_null();
    v[USAGE_PUT_LATE_SET_LOG_SIZE] = db_number(u->has_log ? u->log.size : 0);
}

enum err usage_put(struct db_tx *tx, const id *execution, int attempt, const struct usage *u)
{
    struct db_value args[USAGE_PUT_SET_COUNT];
    usage_values(args, u);
    args[USAGE_PUT_SET_EXECUTION_ID] = db_id(execution);
    /* a first attempt has no log of an earlier one to replace */
    enum err e = attempt > 0 ? usage_discard_log(tx, &args[USAGE_PUT_SET_EXECUTION_ID], 1) : OK;
    if (e == OK)
        e = db_run(tx->db, tx->ctx, SQL_USAGE_PUT, args, USAGE_PUT_SET_COUNT, NULL);
    blob_mark_used(tx, &u->log, u->has_log);
    return e;
}

enum err usage_put_late(struct db_tx *tx, const id *execution, int attempt, const struct usage *u,
                        const struct artifact *list, size_t n)
{
    struct db_value args[USAGE_PUT_LATE_SET_COUNT + 2];
    struct db_rows *rows;
    usage_values(args, u);
    args[USAGE_PUT_LATE_SET_COUNT] = db_id(execution);
    args[USAGE_PUT_LATE_SET_COUNT + 1] = db_number(attempt);
    enum err e = db_run(tx->db, tx->ctx, SQL_USAGE_PUT_LATE, args, USAGE_PUT_LATE_SET_COUNT + 2, &rows);
    if (e != OK || rows->affected == 0)
        return e;
    /* if a log was recorded before, the sweep of blobs removes this one */
    blob_mark_used(tx, &u->log, u->has_log);
    return n > 0 ? artifact_put_all(tx, execution, list, n) : OK;
}

enum err execution_log(struct db *db, void *ctx, const id *workspace, const id *execution,
                       struct execution_log *log_r)
{
    struct db_value args[] = {db_id(execution), db_id(workspace)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_EXECUTION_LOG, args, 2, &rows);
    if (e == OK && rows->count == 0)
        e = ERR_NOT_FOUND;
    if (e != OK)
        return e;
    *log_r = (struct execution_log){
        .state = (enum run_state)db_int(rows, 0, EXECUTION_LOG_STATE),
        .attempt = (int)db_int(rows, 0, EXECUTION_LOG_ATTEMPT),
        .is_purged = db_int(rows, 0, EXECUTION_LOG_IS_PURGED) != 0,
        .has_log = !db_cell(rows, 0, EXECUTION_LOG_LOG_SHA256)->is_null,
        .log.size = db_int(rows, 0, EXECUTION_LOG_LOG_SIZE),
    };
    if (log_r->has_log)
        memcpy(log_r->log.sha256, db_str(rows, 0, EXECUTION_LOG_LOG_SHA256), BLOB_HASH);
    return OK;
}
