#include "store/key.h"

#include <sodium.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/scopes.h"
#include "deed/deed.h"
#include "mariadb/db.h"
#include "store/workspace.h"

enum { LAST_USED_STEP_MS = 60 * 1000 };

_Static_assert(API_KEY_HASH_SIZE == crypto_hash_sha256_BYTES, "as api_keys.hash has it");

void api_key_hash(const char *key, size_t size, uint8_t hash[API_KEY_HASH_SIZE])
{
    crypto_hash_sha256(hash, (const unsigned char *)key, size);
}

size_t api_key_prefix_length(const char *scheme, const char *key)
{
    char cell[CELL_NAME_SIZE];
    return cell_of_secret(scheme, key, cell) ? API_KEY_CELL_PREFIX_LENGTH : API_KEY_PREFIX_LENGTH;
}

enum err api_key_create(struct db *db, void *ctx, const char *cell, struct api_key *k,
                        char key_r[API_KEY_TEXT_SIZE])
{
    struct workspace *workspace;
    size_t n;
    enum err e = workspace_list(db, ctx, &k->workspace_id, &workspace, &n);
    if (e == OK)
        e = cell_make_secret(API_KEY_SCHEME, cell, key_r, API_KEY_TEXT_SIZE);
    if (e != OK)
        return e;
    uint8_t hash[API_KEY_HASH_SIZE];
    api_key_hash(key_r, strlen(key_r), hash);
    k->created_ms = clock_wall_ms();
    k->prefix = talloc_strndup(ctx, key_r, api_key_prefix_length(API_KEY_SCHEME, key_r));
    struct db_value args[] = {
        [API_KEY_INSERT_SET_ID] = db_id(&k->id),
        [API_KEY_INSERT_SET_WORKSPACE_ID] = db_id(&k->workspace_id),
        [API_KEY_INSERT_SET_PRINCIPAL_ID] = db_id(&k->principal_id),
        [API_KEY_INSERT_SET_HASH] = db_bytes(hash, sizeof hash),
        [API_KEY_INSERT_SET_PREFIX] = db_text(k->prefix),
        [API_KEY_INSERT_SET_SCOPES] = db_number(k->scopes),
        [API_KEY_INSERT_SET_CREATED_MS] = db_number(k->created_ms),
        [API_KEY_INSERT_SET_EXPIRES_MS] = db_number_or_null(k->expires_ms, k->expires_ms != 0),
    };
    char expires[CLOCK_TEXT_SIZE];
    const struct deed_detail detail[] = {
        {"prefix", k->prefix},
        {"principal_id", k->principal_id.text},
        {"scopes", scopes_text(ctx, k->scopes)},
        {"expires_at", k->expires_ms ? clock_text_offset(k->expires_ms, expires) : NULL},
        {0}};
    const struct deed_statement insert = {
        SQL_API_KEY_INSERT, args,  API_KEY_INSERT_SET_COUNT, "key.create", &k->workspace_id,
        k->id.text,         detail};
    return deed_run(db, &insert);
}

enum err api_key_list(struct db *db, void *ctx, const id *workspace, struct api_key **list_r, size_t *count_r)
{
    struct db_value arg = db_id(workspace);
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_API_KEY_LIST, &arg, 1, &rows);
    if (e != OK)
        return e;
    struct api_key *list = talloc_zero_array(ctx, struct api_key, rows->count + 1);
    for (size_t i = 0; i < rows->count; i++) {
        list[i] = (struct api_key){
            .id = db_get_id(rows, i, API_KEY_LIST_ID),
            .workspace_id = db_get_id(rows, i, API_KEY_LIST_WORKSPACE_ID),
            .principal_id = db_get_id(rows, i, API_KEY_LIST_PRINCIPAL_ID),
            .prefix = db_str(rows, i, API_KEY_LIST_PREFIX),
            .scopes = (uint32_t)db_int(rows, i, API_KEY_LIST_SCOPES),
            .created_ms = db_int(rows, i, API_KEY_LIST_CREATED_MS),
            .expires_ms = db_int(rows, i, API_KEY_LIST_EXPIRES_MS),
            .revoked_ms = db_int(rows, i, API_KEY_LIST_REVOKED_MS),
            .last_used_ms = db_int(rows, i, API_KEY_LIST_LAST_USED_MS),
        };
    }
    *list_r = list;
    *count_r = rows->count;
    return OK;
}

enum err api_key_revoke(struct db *db, const id *workspace, const id *key)
{
    struct db_value args[] = {db_number(clock_wall_ms()), db_id(workspace), db_id(key)};
    return deed_run(
        db, &(struct deed_statement){SQL_API_KEY_REVOKE, args, 3, "key.revoke", workspace, key->text, NULL});
}

enum err api_key_find(struct db *db, void *ctx, const uint8_t hash[API_KEY_HASH_SIZE], struct api_key *key_r,
                      struct api_key_limits *limits_r)
{
    struct db_value arg = db_bytes(hash, API_KEY_HASH_SIZE);
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_API_KEY_FIND, &arg, 1, &rows);
    if (e != OK)
        return e;
    if (rows->count == 0)
        return ERR_NOT_FOUND;
    *key_r = (struct api_key){
        .id = db_get_id(rows, 0, API_KEY_FIND_ID),
        .workspace_id = db_get_id(rows, 0, API_KEY_FIND_WORKSPACE_ID),
        .principal_id = db_get_id(rows, 0, API_KEY_FIND_PRINCIPAL_ID),
        .scopes = (uint32_t)db_int(rows, 0, API_KEY_FIND_SCOPES),
        .expires_ms = db_int(rows, 0, API_KEY_FIND_EXPIRES_MS),
        .revoked_ms = db_int(rows, 0, API_KEY_FIND_REVOKED_MS),
        .last_used_ms = db_int(rows, 0, API_KEY_FIND_LAST_USED_MS),
    };
    *limits_r = (struct api_key_limits){
        .rate_limit = db_int(rows, 0, API_KEY_FIND_RATE_LIMIT_PER_MINUTE),
        .streams = db_int_or(rows, 0, API_KEY_FIND_STREAMS, -1),
        .is_frozen = db_int(rows, 0, API_KEY_FIND_FROZEN) != 0,
    };
    return OK;
}

enum err api_key_mark_used(struct db *db, void *ctx, const id *key, int64_t now_ms)
{
    struct db_value args[] = {db_number(now_ms), db_id(key), db_number(now_ms - LAST_USED_STEP_MS)};
    return db_run(db, ctx, SQL_API_KEY_MARK_USED, args, 3, NULL);
}

enum err api_key_filter_valid(struct db *db, void *ctx, const id *keys, size_t n, id **list_r,
                              size_t *count_r)
{
    struct db_value now = db_number(clock_wall_ms());
    struct db_value *values = talloc_array(ctx, struct db_value, n + 1);
    for (size_t i = 0; i < n; i++)
        values[i] = db_id(&keys[i]);
    struct db_rows *rows;
    enum err e = db_run_each(db, ctx, SQL_API_KEY_FILTER_VALID, &now, 1, values, 1, n, &rows);
    if (e != OK)
        return e;
    *list_r = talloc_zero_array(ctx, id, rows->count + 1);
    for (size_t i = 0; i < rows->count; i++)
        (*list_r)[i] = db_get_id(rows, i, API_KEY_FILTER_VALID_ID);
    *count_r = rows->count;
    return OK;
}
