#include "account/idempotency.h"

#include <sodium.h>
#include <string.h>
#include <talloc.h>

enum { KEY_HASH = 32 };

/* SHA-256 of workspace and key in one column, so that a batch is looked up with one IN list. */
static void hash_key(const struct idempotency_key *key, uint8_t hash[KEY_HASH])
{
    crypto_hash_sha256_state s;
    crypto_hash_sha256_init(&s);
    crypto_hash_sha256_update(&s, (const unsigned char *)key->workspace_id.text, ID_LENGTH);
    crypto_hash_sha256_update(&s, (const unsigned char *)key->key.at, key->key.size);
    crypto_hash_sha256_final(&s, hash);
}

static struct span cell_span(void *ctx, const struct db_cell *c)
{
    if (c->is_null)
        return (struct span){0};
    return (struct span){.at = talloc_memdup(ctx, c->text, c->size + 1), .size = c->size};
}

static size_t row_of(const struct db_rows *rows, const uint8_t *hash)
{
    size_t r = 0;
    while (r < rows->count && memcmp(db_str(rows, r, IDEMPOTENCY_FIND_KEY_HASH), hash, KEY_HASH) != 0)
        r++;
    return r;
}

/* Compares one key with its row, which has not expired. */
static struct idempotency_match match_row(void *ctx, const struct idempotency_key *key,
                                          const struct db_rows *rows, size_t r)
{
    bool same =
        memcmp(db_str(rows, r, IDEMPOTENCY_FIND_FINGERPRINT), key->fingerprint, IDEMPOTENCY_FINGERPRINT) == 0;
    return (struct idempotency_match){
        .state = same ? IDEMPOTENCY_REPLAY : IDEMPOTENCY_REUSED,
        .execution_id = db_get_id(rows, r, IDEMPOTENCY_FIND_EXECUTION_ID),
        .response = {.status = (int)db_int(rows, r, IDEMPOTENCY_FIND_STATUS),
                     .body = cell_span(ctx, db_cell(rows, r, IDEMPOTENCY_FIND_BODY))},
    };
}

enum err idempotency_find(struct db_tx *tx, void *ctx, const struct idempotency_key *keys, size_t n,
                          struct idempotency_match *matches)
{
    uint8_t *hashes = talloc_array(tx->ctx, uint8_t, n * KEY_HASH + 1);
    struct db_value *values = talloc_array(tx->ctx, struct db_value, n + 1);
    struct db_value *expired = talloc_array(tx->ctx, struct db_value, n + 1);
    size_t expired_n = 0;
    for (size_t i = 0; i < n; i++) {
        hash_key(&keys[i], hashes + i * KEY_HASH);
        values[i] = db_bytes(hashes + i * KEY_HASH, KEY_HASH);
        matches[i] = (struct idempotency_match){.state = IDEMPOTENCY_FREE};
    }
    struct db_rows *rows;
    enum err e = db_run_each(tx->db, tx->ctx, SQL_IDEMPOTENCY_FIND, NULL, 0, values, 1, n, &rows);
    if (e != OK)
        return e;
    for (size_t i = 0; i < n; i++) {
        size_t r = row_of(rows, hashes + i * KEY_HASH);
        if (r == rows->count)
            continue;
        if (db_int(rows, r, IDEMPOTENCY_FIND_HAS_EXPIRED))
            expired[expired_n++] = values[i];
        else
            matches[i] = match_row(ctx, &keys[i], rows, r);
    }
    return db_run_each(tx->db, tx->ctx, SQL_IDEMPOTENCY_DELETE, NULL, 0, expired, 1, expired_n, NULL);
}

enum err idempotency_store(struct db_tx *tx, const struct idempotency_entry *entries, size_t n)
{
    uint8_t *hashes = talloc_array(tx->ctx, uint8_t, n * KEY_HASH + 1);
    struct db_value *values = talloc_array(tx->ctx, struct db_value, n * IDEMPOTENCY_INSERT_SET_COUNT + 1);
    for (size_t i = 0; i < n; i++) {
        const struct idempotency_key *key = &entries[i].key;
        struct span body = entries[i].response.body;
        struct db_value *v = &values[i * IDEMPOTENCY_INSERT_SET_COUNT];
        hash_key(key, hashes + i * KEY_HASH);
        v[IDEMPOTENCY_INSERT_SET_KEY_HASH] = db_bytes(hashes + i * KEY_HASH, KEY_HASH);
        v[IDEMPOTENCY_INSERT_SET_WORKSPACE_ID] = db_id(&key->workspace_id);
        v[IDEMPOTENCY_INSERT_SET_IDEMPOTENCY_KEY] = db_bytes(key->key.at, key->key.size);
        v[IDEMPOTENCY_INSERT_SET_FINGERPRINT] = db_bytes(key->fingerprint, IDEMPOTENCY_FINGERPRINT);
        v[IDEMPOTENCY_INSERT_SET_EXECUTION_ID] = db_id(&entries[i].execution_id);
        v[IDEMPOTENCY_INSERT_SET_STATUS] = db_number(entries[i].response.status);
        v[IDEMPOTENCY_INSERT_SET_BODY] = body.at ? db_bytes(body.at, body.size) : db_null();
    }
    return db_run_each(tx->db, tx->ctx, SQL_IDEMPOTENCY_INSERT, NULL, 0, values, IDEMPOTENCY_INSERT_SET_COUNT,
                       n, NULL);
}

/* --- one key in its own transaction --- */

struct key_lookup {
    void *ctx;
    const struct idempotency_key *key;
    struct idempotency_match *match;
};

static enum err lookup_work(struct db_tx *tx, void *arg)
{
    struct key_lookup *lookup = arg;
    struct account *account;
    size_t n;
    enum err e = account_lock(tx, tx->ctx, &lookup->key->workspace_id, 1, &account, &n);
    return e == OK ? idempotency_find(tx, lookup->ctx, lookup->key, 1, lookup->match) : e;
}

enum err idempotency_lookup(struct db *db, void *ctx, const struct idempotency_key *key,
                            struct idempotency_match *match_r)
{
    struct key_lookup lookup = {.ctx = ctx, .key = key, .match = match_r};
    *match_r = (struct idempotency_match){.state = IDEMPOTENCY_FREE};
    return db_transaction(db, lookup_work, &lookup);
}
