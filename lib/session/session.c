#include "session/session.h"

#include <sodium.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/scopes.h"
#include "deed/deed.h"

void session_hash(const char *token, size_t size, uint8_t hash[SESSION_HASH_SIZE])
{
    crypto_generichash(hash, SESSION_HASH_SIZE, (const unsigned char *)token, size, NULL, 0);
}

/* --- creating and deleting --- */

struct creation {
    struct session *session;
    const id *workspace;
    const struct session_replaced *old;
    const uint8_t *hash;
};

static enum err delete_replaced(struct db_tx *tx, const struct session_replaced *old)
{
    struct db_value arg = db_id(&old->id);
    struct db_rows *rows;
    if (!id_is_set(&old->id))
        return OK;
    enum err e = db_run(tx->db, tx->ctx, SQL_SESSION_DELETE, &arg, 1, &rows);
    if (e != OK || rows->affected == 0)
        return e;
    return deed_record(tx, "session.delete", old->workspace, old->id.text, NULL);
}

static enum err create_work(struct db_tx *tx, void *arg)
{
    const struct creation *c = arg;
    const struct session *s = c->session;
    struct db_value args[] = {
        [SESSION_INSERT_SET_ID] = db_id(&s->id),
        [SESSION_INSERT_SET_HASH] = db_bytes(c->hash, SESSION_HASH_SIZE),
        [SESSION_INSERT_SET_KEY_ID] = db_id(&s->key_id),
        [SESSION_INSERT_SET_OPERATOR_ID] = db_id(&s->operator_id),
        [SESSION_INSERT_SET_CREATED_MS] = db_number(s->created_ms),
        [SESSION_INSERT_SET_USED_MS] = db_number(s->used_ms),
        [SESSION_INSERT_SET_ENDS_MS] = db_number(s->ends_ms),
    };
    bool by_operator = id_is_set(&s->operator_id);
    struct db_value owner = db_id(by_operator ? &s->operator_id : &s->key_id), trim[] = {owner, owner};
    struct db_value find[] = {db_bytes(c->hash, SESSION_HASH_SIZE)};
    struct db_rows *rows;
    /* a settling run finds the row of the run before it */
    if (tx->settling) {
        enum err found = db_run(tx->db, tx->ctx, SQL_SESSION_FIND, find, 1, &rows);
        if (found != OK || rows->count > 0)
            return found;
    }
    enum err e = delete_replaced(tx, c->old);
    if (e == OK)
        e = db_run(tx->db, tx->ctx, SQL_SESSION_INSERT, args, SESSION_INSERT_SET_COUNT, NULL);
    if (e == OK)
        e = db_run(tx->db, tx->ctx, by_operator ? SQL_SESSION_TRIM_OPERATOR : SQL_SESSION_TRIM, trim, 2,
                   NULL);
    return e == OK ? deed_record(tx, "session.create", c->workspace, s->id.text, NULL) : e;
}

enum err session_create(struct db *db, const char *cell, struct session *s, const id *workspace,
                        int64_t lifetime_ms, const struct session_replaced *old,
                        char token_r[SESSION_TOKEN_SIZE])
{
    uint8_t hash[SESSION_HASH_SIZE];
    enum err e = cell_make_secret("", cell, token_r, SESSION_TOKEN_SIZE);
    if (e != OK)
        return e;
    session_hash(token_r, strlen(token_r), hash);
    s->id = id_new();
    s->created_ms = s->used_ms = clock_wall_ms();
    s->ends_ms = s->created_ms + lifetime_ms;
    return db_transaction(db, create_work, &(struct creation){s, workspace, old, hash});
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

/* What stands for the key of an operator's session. */
static void read_operator(const struct db_rows *rows, struct api_key *key_r, struct operator* operator_r)
{
    *operator_r = (struct operator){
        .id = db_get_id(rows, 0, SESSION_FIND_OPERATOR_ID),
        .name = db_str(rows, 0, SESSION_FIND_NAME),
        .role = (enum role)db_int(rows, 0, SESSION_FIND_ROLE),
    };
    *key_r = (struct api_key){
        .id = operator_r->id,
        .principal_id = operator_r->id,
        .scopes = role_scopes(operator_r->role),
        .expires_ms = db_int(rows, 0, SESSION_FIND_OPERATOR_EXPIRES_MS),
        .revoked_ms = db_int(rows, 0, SESSION_FIND_OPERATOR_REVOKED_MS),
    };
}

static void read_key(const struct db_rows *rows, struct api_key *key_r)
{
    *key_r = (struct api_key){
        .id = db_get_id(rows, 0, SESSION_FIND_ID),
        .workspace_id = db_get_id(rows, 0, SESSION_FIND_WORKSPACE_ID),
        .principal_id = db_get_id(rows, 0, SESSION_FIND_PRINCIPAL_ID),
        .scopes = (uint32_t)db_int(rows, 0, SESSION_FIND_SCOPES) & SCOPES_KNOWN,
        .expires_ms = db_int(rows, 0, SESSION_FIND_EXPIRES_MS),
        .revoked_ms = db_int(rows, 0, SESSION_FIND_REVOKED_MS),
    };
}

enum err session_find(struct db *db, void *ctx, const uint8_t hash[SESSION_HASH_SIZE],
                      struct session *session_r, struct api_key *key_r, struct operator* operator_r,
                      struct api_key_limits *limits_r)
{
    struct db_value arg = db_bytes(hash, SESSION_HASH_SIZE);
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_SESSION_FIND, &arg, 1, &rows);
    if (e != OK)
        return e;
    bool by_operator = rows->count > 0 && !db_cell(rows, 0, SESSION_FIND_OPERATOR_ID)->is_null;
    if (rows->count == 0 || (!by_operator && db_cell(rows, 0, SESSION_FIND_ID)->is_null))
        return ERR_NOT_FOUND;
    *operator_r = (struct operator){.name = NULL};
    if (by_operator)
        read_operator(rows, key_r, operator_r);
    else
        read_key(rows, key_r);
    *session_r = (struct session){
        .id = db_get_id(rows, 0, SESSION_FIND_SESSION_ID),
        .used_ms = db_int(rows, 0, SESSION_FIND_USED_MS),
        .ends_ms = db_int(rows, 0, SESSION_FIND_ENDS_MS),
    };
    *limits_r = (struct api_key_limits){
        .rate_limit = db_int(rows, 0, SESSION_FIND_RATE_LIMIT_PER_MINUTE),
        .streams = db_int_or(rows, 0, SESSION_FIND_STREAMS, -1),
        .is_frozen = db_int(rows, 0, SESSION_FIND_FROZEN) != 0,
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
    };
    if (db_cell(rows, 0, SESSION_DESCRIBE_OPERATOR_ID)->is_null) {
        description_r->name = db_str(rows, 0, SESSION_DESCRIBE_PREFIX);
        description_r->scopes = (uint32_t)db_int(rows, 0, SESSION_DESCRIBE_SCOPES) & SCOPES_KNOWN;
        description_r->workspace_id = db_get_id(rows, 0, SESSION_DESCRIBE_WORKSPACE_ID);
        description_r->workspace_name = db_str(rows, 0, SESSION_DESCRIBE_WORKSPACE);
        description_r->owner_expires_ms = db_int(rows, 0, SESSION_DESCRIBE_EXPIRES_MS);
    } else {
        description_r->name = db_str(rows, 0, SESSION_DESCRIBE_NAME);
        description_r->role = (enum role)db_int(rows, 0, SESSION_DESCRIBE_ROLE);
        description_r->scopes = role_scopes(description_r->role);
        description_r->owner_expires_ms = db_int(rows, 0, SESSION_DESCRIBE_OPERATOR_EXPIRES_MS);
    }
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
