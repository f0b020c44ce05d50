#include "store/ticket.h"

#include <sodium.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/log.h"
#include "mariadb/db.h"

/* TICKET_CHECK_MAX: the LIMIT of ticket_check.sql. */
enum { HASH_SIZE = crypto_hash_sha256_BYTES, TICKET_CHECK_MAX = 500 };

static void hash_ticket(const char *ticket, uint8_t hash[HASH_SIZE])
{
    crypto_hash_sha256(hash, (const unsigned char *)ticket, strlen(ticket));
}

enum err ticket_create(struct db *db, const char *cell, const id *workspace, const id *execution,
                       const id *key, int64_t quota, char ticket_r[TICKET_TEXT_SIZE])
{
    uint8_t hash[HASH_SIZE];
    enum err e = cell_make_secret("", cell, ticket_r, TICKET_TEXT_SIZE);
    if (e != OK)
        return e;
    hash_ticket(ticket_r, hash);
    int64_t now_ms = clock_wall_ms();
    struct db_rows *rows;
    struct db_value args[] = {
        [TICKET_INSERT_SET_HASH] = db_bytes(hash, sizeof hash),
        [TICKET_INSERT_SET_WORKSPACE_ID] = db_id(workspace),
        [TICKET_INSERT_SET_EXECUTION_ID] = db_id(execution),
        [TICKET_INSERT_SET_KEY_ID] = db_id(key),
        [TICKET_INSERT_SET_CREATED_MS] = db_number(now_ms),
        [TICKET_INSERT_SET_CHECK_MS] = db_number(now_ms + TICKET_FIRST_USE_MS),
        [TICKET_INSERT_SET_COUNT] = db_id(workspace),
        [TICKET_INSERT_SET_COUNT + 1] = db_id(workspace),
        [TICKET_INSERT_SET_COUNT + 2] = db_number(quota),
    };
    void *scratch = talloc_new(NULL);
    e = db_run(db, scratch, SQL_TICKET_INSERT, args, TICKET_INSERT_SET_COUNT + 3, &rows);
    if (e == OK && rows->affected == 0)
        e = ERR_LIMIT;
    talloc_free(scratch);
    return e;
}

bool ticket_is_valid(const struct ticket_times *t, int64_t now_ms)
{
    if (t->key_revoked_ms || (t->key_expires_ms && t->key_expires_ms <= now_ms))
        return false;
    if (!t->used_ms && now_ms > t->created_ms + TICKET_FIRST_USE_MS)
        return false;
    return !t->run_ended_ms || now_ms <= t->run_ended_ms + TICKET_AFTER_END_MS;
}

static struct ticket_times ticket_times_from_row(const struct db_rows *rows)
{
    return (struct ticket_times){
        .created_ms = db_int(rows, 0, TICKET_FIND_CREATED_MS),
        .used_ms = db_int(rows, 0, TICKET_FIND_USED_MS),
        .run_ended_ms = db_int(rows, 0, TICKET_FIND_ENDED_MS),
        .key_revoked_ms = db_int(rows, 0, TICKET_FIND_REVOKED_MS),
        .key_expires_ms = db_int(rows, 0, TICKET_FIND_EXPIRES_MS),
    };
}

enum err ticket_use(struct db *db, void *ctx, const char *ticket, const id *execution,
                    struct ticket_access *access_r)
{
    uint8_t hash[HASH_SIZE];
    hash_ticket(ticket, hash);
    struct db_value find[] = {db_bytes(hash, sizeof hash), db_id(execution)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_TICKET_FIND, find, 2, &rows);
    if (e != OK)
        return e;
    int64_t now_ms = clock_wall_ms();
    if (rows->count == 0)
        return ERR_DENIED;
    const struct ticket_times times = ticket_times_from_row(rows);
    if (!ticket_is_valid(&times, now_ms))
        return ERR_DENIED;
    *access_r = (struct ticket_access){.workspace_id = db_get_id(rows, 0, TICKET_FIND_WORKSPACE_ID),
                                       .key_id = db_get_id(rows, 0, TICKET_FIND_KEY_ID),
                                       .rate_limit = db_int(rows, 0, TICKET_FIND_RATE_LIMIT_PER_MINUTE),
                                       .streams = db_int_or(rows, 0, TICKET_FIND_STREAMS, -1)};
    if (times.used_ms)
        return OK;
    struct db_value use[] = {db_number(now_ms), db_bytes(hash, sizeof hash)};
    return db_run(db, ctx, SQL_TICKET_USE, use, 2, NULL);
}

/* Deletes the tickets of `rows` that can no longer be used; looks at the others again after
 * TICKET_AFTER_END_MS. */
static enum err delete_or_defer(struct db *db, void *ctx, const struct db_rows *rows, int64_t now_ms)
{
    struct db_value *gone = talloc_array(ctx, struct db_value, rows->count + 1);
    struct db_value *kept = talloc_array(ctx, struct db_value, rows->count + 1);
    struct db_value later = db_number(now_ms + TICKET_AFTER_END_MS);
    size_t gone_n = 0, kept_n = 0;
    for (size_t i = 0; i < rows->count; i++) {
        const struct ticket_times times = {
            .created_ms = db_int(rows, i, TICKET_CHECK_CREATED_MS),
            .used_ms = db_int(rows, i, TICKET_CHECK_USED_MS),
            .run_ended_ms = db_int(rows, i, TICKET_CHECK_ENDED_MS),
        };
        struct db_value hash = db_bytes(db_str(rows, i, TICKET_CHECK_HASH), HASH_SIZE);
        if (db_cell(rows, i, TICKET_CHECK_ID)->is_null || !ticket_is_valid(&times, now_ms))
            gone[gone_n++] = hash;
        else
            kept[kept_n++] = hash;
    }
    enum err e = db_run_each(db, ctx, SQL_TICKET_DELETE, NULL, 0, gone, 1, gone_n, NULL);
    return e == OK ? db_run_each(db, ctx, SQL_TICKET_CHECK_LATER, &later, 1, kept, 1, kept_n, NULL) : e;
}

bool ticket_delete_expired(struct db *db)
{
    void *ctx = talloc_new(NULL);
    int64_t now_ms = clock_wall_ms();
    struct db_value now = db_number(now_ms);
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_TICKET_CHECK, &now, 1, &rows);
    size_t n = e == OK ? rows->count : 0;
    if (e == OK)
        e = delete_or_defer(db, ctx, rows, now_ms);
    if (e != OK)
        log_warn("ticket.delete_failed", "error=%s", err_name(e));
    talloc_free(ctx);
    return e == OK && n == TICKET_CHECK_MAX;
}
