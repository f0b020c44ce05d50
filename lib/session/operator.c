#include "session/operator.h"

#include <sodium.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "deed/deed.h"

enum { LAST_USED_STEP_MS = 60 * 1000 };

void operator_hash(const char *token, size_t size, uint8_t hash[API_KEY_HASH_SIZE])
{
    static const unsigned char key[] = "operator of Millrace";
    crypto_generichash(hash, API_KEY_HASH_SIZE, (const unsigned char *)token, size, key, sizeof key);
}

enum err operator_create(struct db *db, void *ctx, const char *cell, struct operator* o,
                         char token_r[OPERATOR_TOKEN_SIZE])
{
    uint8_t hash[API_KEY_HASH_SIZE];
    char expires[CLOCK_TEXT_SIZE];
    enum err e = cell_make_secret(OPERATOR_TOKEN_PREFIX, cell, token_r, OPERATOR_TOKEN_SIZE);
    if (e != OK)
        return e;
    operator_hash(token_r, strlen(token_r), hash);
    o->created_ms = clock_wall_ms();
    o->prefix = talloc_strndup(ctx, token_r, api_key_prefix_length(OPERATOR_TOKEN_PREFIX, token_r));
    struct db_value args[] = {
        [OPERATOR_INSERT_SET_ID] = db_id(&o->id),
        [OPERATOR_INSERT_SET_NAME] = db_text(o->name),
        [OPERATOR_INSERT_SET_ROLE] = db_number(o->role),
        [OPERATOR_INSERT_SET_HASH] = db_bytes(hash, sizeof hash),
        [OPERATOR_INSERT_SET_PREFIX] = db_text(o->prefix),
        [OPERATOR_INSERT_SET_CREATED_MS] = db_number(o->created_ms),
        [OPERATOR_INSERT_SET_EXPIRES_MS] = db_number_or_null(o->expires_ms, o->expires_ms != 0),
        [OPERATOR_INSERT_SET_COUNT] = db_text(o->name),
    };
    const struct deed_detail detail[] = {
        {"name", o->name},
        {"role", role_name(o->role)},
        {"prefix", o->prefix},
        {"expires_at", o->expires_ms ? clock_text_offset(o->expires_ms, expires) : NULL},
        {0}};
    const struct deed_statement insert = {
        SQL_OPERATOR_INSERT, args,  OPERATOR_INSERT_SET_COUNT + 1, "operator.create", NULL,
        o->id.text,          detail};
    e = deed_run(db, &insert);
    return e == ERR_NOT_FOUND ? ERR_CONFLICT : e;
}

enum err operator_list(struct db *db, void *ctx, struct operator** list_r, size_t *count_r)
{
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_OPERATOR_LIST, NULL, 0, &rows);
    if (e != OK)
        return e;
    struct operator* list = talloc_zero_array(ctx, struct operator, rows->count + 1);
    for (size_t i = 0; i < rows->count; i++) {
        list[i] = (struct operator){
            .id = db_get_id(rows, i, OPERATOR_LIST_ID),
            .name = db_str(rows, i, OPERATOR_LIST_NAME),
            .prefix = db_str(rows, i, OPERATOR_LIST_PREFIX),
            .role = (enum role)db_int(rows, i, OPERATOR_LIST_ROLE),
            .created_ms = db_int(rows, i, OPERATOR_LIST_CREATED_MS),
            .expires_ms = db_int(rows, i, OPERATOR_LIST_EXPIRES_MS),
            .revoked_ms = db_int(rows, i, OPERATOR_LIST_REVOKED_MS),
            .last_used_ms = db_int(rows, i, OPERATOR_LIST_LAST_USED_MS),
        };
    }
    *list_r = list;
    *count_r = rows->count;
    return OK;
}

enum err operator_find_name(struct db *db, void *ctx, const char *text, id *operator_r)
{
    id by_id = {{0}};
    (void)id_parse(text, strlen(text), &by_id);
    struct db_value args[] = {db_id(&by_id), db_text(text)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_OPERATOR_NAMED, args, 2, &rows);
    if (e == OK && rows->count == 0)
        return ERR_NOT_FOUND;
    if (e == OK)
        *operator_r = db_get_id(rows, 0, OPERATOR_NAMED_ID);
    return e;
}

enum err operator_revoke(struct db *db, const id *operator)
{
    struct db_value args[] = {db_number(clock_wall_ms()), db_id(operator)};
    return deed_run(db, &(struct deed_statement){SQL_OPERATOR_REVOKE, args, 2, "operator.revoke",
                                                 NULL, operator->text, NULL});
}

enum err operator_find(struct db *db, void *ctx, const uint8_t hash[API_KEY_HASH_SIZE],
                       struct operator* operator_r)
{
    struct db_value arg = db_bytes(hash, API_KEY_HASH_SIZE);
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_OPERATOR_FIND, &arg, 1, &rows);
    if (e != OK)
        return e;
    if (rows->count == 0)
        return ERR_NOT_FOUND;
    *operator_r = (struct operator){
        .id = db_get_id(rows, 0, OPERATOR_FIND_ID),
        .name = db_str(rows, 0, OPERATOR_FIND_NAME),
        .role = (enum role)db_int(rows, 0, OPERATOR_FIND_ROLE),
        .expires_ms = db_int(rows, 0, OPERATOR_FIND_EXPIRES_MS),
        .revoked_ms = db_int(rows, 0, OPERATOR_FIND_REVOKED_MS),
        .last_used_ms = db_int(rows, 0, OPERATOR_FIND_LAST_USED_MS),
    };
    return OK;
}

enum err operator_mark_used(struct db *db, void *ctx, const id *operator, int64_t now_ms)
{
    struct db_value args[] = {db_number(now_ms), db_id(operator), db_number(now_ms - LAST_USED_STEP_MS)};
    return db_run(db, ctx, SQL_OPERATOR_MARK_USED, args, 3, NULL);
}

enum err operator_workspace(struct db *db, void *ctx, const id *workspace, int64_t *streams_r,
                            bool *is_frozen_r)
{
    struct db_value arg = db_id(workspace);
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_OPERATOR_WORKSPACE, &arg, 1, &rows);
    if (e != OK)
        return e;
    if (rows->count == 0)
        return ERR_NOT_FOUND;
    *streams_r = db_int_or(rows, 0, OPERATOR_WORKSPACE_STREAMS, -1);
    *is_frozen_r = db_int(rows, 0, OPERATOR_WORKSPACE_FROZEN) != 0;
    return OK;
}
