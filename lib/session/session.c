#include "session/session.h"

#include <sodium.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "deed/deed.h"

void session_hash(const char *token, size_t size, uint8_t hash[SESSION_HASH_SIZE])
{
    crypto_generichash(hash, SESSION_HASH_SIZE, (const unsigned char *)token, size, NULL, 0);
}

/* --- creating and deleting --- */

struct creation {
    struct session *session;
    const id *workspace;
    const uint8_t *hash;
};

static enum err create_work(struct db_tx *tx, void *arg)
{
    const struct creation *c = arg;
    const struct session *s = c->session;
    struct db_value args[] = {
        [SESSION_INSERT_SET_ID] = db_id(&s->id),
        [SESSION_INSERT_SET_HASH] = db_bytes(c->hash, SESSION_HASH_SIZE),
        [SESSION_INSERT_SET_KEY_ID] = db_id(&s->key_id),
        [SESSION_INSERT_SET_CREATED_MS] = db_number(s->created_ms),
        [SESSION_INSERT_SET_USED_MS] = db_number(s->used_ms),
        [SESSION_INSERT_SET_ENDS_MS] = db_number(s->ends_ms),
    };
    struct db_value trim[] = {db_id(&s->key_id), db_id(&s->key_id)};
    struct db_value find[] = {db_bytes(c->hash, SESSION_HASH_SIZE)};
    struct db_rows *rows;
    /* a settling run finds the row of the run before it */
    if (tx->settling) {
        enum err found = db_run(tx->db, tx->ctx, SQL_SESSION_FIND, find, 1, &rows);
        if (found != OK || rows->count > 0)
            return found;
    }
    enum err e = db_run(tx->db, tx->ctx, SQL_SESSION_INSERT, args, SESSION_INSERT_SET_COUNT, NULL);
    if (e == OK)
        e = db_run(tx->db, tx->ctx, SQL_SESSION_TRIM, trim, 2, NULL);
    return e == OK ? deed_record(tx, "session.create", c->workspace, s->id.text, NULL) : e;
}

enum err session_create(struct db *db, struct session *s, const id *workspace, int64_t lifetime_ms,
                        char token_r[SESSION_TOKEN_SIZE])
{
    unsigned char random[32];
    uint8_t hash[SESSION_HASH_SIZE];
    if (sodium_init() < 0)
        return ERR_INTERNAL;
    randombytes_buf(random, sizeof random);
    sodium_bin2base64(token_r, SESSION_TOKEN_SIZE, random, sizeof random,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(random, sizeof random);
    session_hash(token_r, SESSION_TOKEN_SIZE - 1, hash);
    s->id = id_new();
    s->created_ms = s->used_ms = clock_wall_ms();
    s->ends_ms = s->created_ms + lifetime_ms;
    return db_transaction(db, create_work, &(struct creation){s, workspace, hash});
}

enum err session_delete(struct db *db, const id *session, const id *workspace)
{
    struct db_value arg = db_id(session);
    return deed_run(db, &(struct deed_statement){SQL_SESSION_DELETE, &arg, 1, "session.delete", workspace,
                                                 session->text, NULL});
}

/* --- reading --- */

bool session_is_open(const struct session *s, int64_t idle_ms, int64_t now_ms)
{
    return now_ms < s->ends_ms && now_ms < s->used_ms + idle_ms;
}

enum err session_find(struct db *db, void *ctx, const uint8_t hash[SESSION_HASH_SIZE],
                      struct session *session_r, struct api_key *key_r, struct api_key_limits *limits_r)
{
    struct db_value arg = db_bytes(hash, SESSION_HASH_SIZE);
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_SESSION_FIND, &arg, 1, &rows);
    if (e != OK)
        return e;
    if (rows->count == 0)
        return ERR_NOT_FOUND;
    *key_r = (struct api_key){
        .id = db_get_id(rows, 0, SESSION_FIND_ID),
        .workspace_id = db_get_id(rows, 0, SESSION_FIND_WORKSPACE_ID),
        .principal_id = db_get_id(rows, 0, SESSION_FIND_PRINCIPAL_ID),
        .scopes = (uint32_t)db_int(rows, 0, SESSION_FIND_SCOPES),
        .expires_ms = db_int(rows, 0, SESSION_FIND_EXPIRES_MS),
        .revoked_ms = db_int(rows, 0, SESSION_FIND_REVOKED_MS),
    };
    *session_r = (struct session){
        .id = db_get_id(rows, 0, SESSION_FIND_SESSION_ID),
        .key_id = key_r->id,
        .used_ms = db_int(rows, 0, SESSION_FIND_USED_MS),
        .ends_ms = db_int(rows, 0, SESSION_FIND_ENDS_MS),
    };
    *limits_r = (struct api_key_limits){
        .rate_limit = db_int(rows, 0, SESSION_FIND_RATE_LIMIT_PER_MINUTE),
        .streams =
            db_cell(rows, 0, SESSION_FIND_STREAMS)->is_null ? -1 : db_int(rows, 0, SESSION_FIND_STREAMS),
    };
    return OK;
}

enum err session_describe(struct db *db, void *ctx, const id *session,
                          struct session_description *description_r)
{
    struct db_value arg = db_id(session);
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_SESSION_DESCRIBE, &arg, 1, &rows);
    if (e != OK)
        return e;
    if (rows->count == 0)
        return ERR_NOT_FOUND;
    *description_r = (struct session_description){
        .session = {.id = *session,
                    .created_ms = db_int(rows, 0, SESSION_DESCRIBE_CREATED_MS),
                    .used_ms = db_int(rows, 0, SESSION_DESCRIBE_USED_MS),
                    .ends_ms = db_int(rows, 0, SESSION_DESCRIBE_ENDS_MS)},
        .name = db_str(rows, 0, SESSION_DESCRIBE_PREFIX),
        .scopes = (uint32_t)db_int(rows, 0, SESSION_DESCRIBE_SCOPES),
        .workspace_id = db_get_id(rows, 0, SESSION_DESCRIBE_WORKSPACE_ID),
        .workspace_name = db_str(rows, 0, SESSION_DESCRIBE_WORKSPACE),
        .key_expires_ms = db_int(rows, 0, SESSION_DESCRIBE_EXPIRES_MS),
    };
    return OK;
}

enum err session_mark_used(struct db *db, void *ctx, const id *session, int64_t now_ms)
{
    struct db_value args[] = {db_number(now_ms), db_id(session), db_number(now_ms - SESSION_USED_STEP_MS)};
    return db_run(db, ctx, SQL_SESSION_MARK_USED, args, 3, NULL);
}

enum err session_filter_credentials(struct db *db, void *ctx, const id *ids, size_t n, int64_t idle_ms,
                                    id **list_r, size_t *count_r)
{
    enum err e = api_key_filter_valid(db, ctx, ids, n, list_r, count_r);
    if (e != OK || *count_r >= n)
        return e;
    int64_t now_ms = clock_wall_ms();
    struct db_value times[] = {db_number(now_ms), db_number(now_ms - idle_ms), db_number(now_ms)};
    struct db_value *values = talloc_array(ctx, struct db_value, n + 1);
    for (size_t i = 0; i < n; i++)
        values[i] = db_id(&ids[i]);
    struct db_rows *rows;
    e = db_run_each(db, ctx, SQL_SESSION_FILTER_VALID, times, 3, values, 1, n, &rows);
    if (e != OK)
        return e;
    *list_r = talloc_realloc(ctx, *list_r, id, *count_r + rows->count + 1);
    for (size_t i = 0; i < rows->count; i++)
        (*list_r)[(*count_r)++] = db_get_id(rows, i, SESSION_FILTER_VALID_ID);
    return OK;
}
