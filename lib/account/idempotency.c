#include "account/idempotency.h"

#include <sodium.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"

void idempotency_hash(const id *workspace, struct span key, uint8_t hash[IDEMPOTENCY_HASH])
{
    crypto_hash_sha256_state s;
    crypto_hash_sha256_init(&s);
    crypto_hash_sha256_update(&s, (const unsigned char *)workspace->text, ID_LENGTH);
    crypto_hash_sha256_update(&s, (const unsigned char *)key.at, key.size);
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
    while (r < rows->count && memcmp(db_str(rows, r, IDEMPOTENCY_FIND_KEY_HASH), hash, IDEMPOTENCY_HASH) != 0)
        r++;
    return r;
}

enum err idempotency_find(struct db_tx *tx, void *ctx, const struct idempotency_key *keys, size_t n,
                          enum run_verdict *verdicts, struct run_answer *answers)
{
    uint8_t *hashes = talloc_array(tx->ctx, uint8_t, n * IDEMPOTENCY_HASH + 1);
    struct db_value *values = talloc_array(tx->ctx, struct db_value, n + 1);
    struct db_value *expired = talloc_array(tx->ctx, struct db_value, n + 1);
    size_t expired_n = 0;
    for (size_t i = 0; i < n; i++) {
        idempotency_hash(&keys[i].workspace_id, keys[i].key, hashes + i * IDEMPOTENCY_HASH);
        values[i] = db_bytes(hashes + i * IDEMPOTENCY_HASH, IDEMPOTENCY_HASH);
        verdicts[i] = 0;
    }
    struct db_rows *rows;
    enum err e = db_run_each(tx->db, tx->ctx, SQL_IDEMPOTENCY_FIND, NULL, 0, values, 1, n, &rows);
    if (e != OK)
        return e;
    int64_t now_ms = clock_wall_ms();
    for (size_t i = 0; i < n; i++) {
        size_t r = row_of(rows, hashes + i * IDEMPOTENCY_HASH);
        if (r == rows->count)
            continue;
        if (db_int(rows, r, IDEMPOTENCY_FIND_EXPIRES_MS) <= now_ms) {
            expired[expired_n++] = values[i];
            continue;
        }
        bool same = memcmp(db_str(rows, r, IDEMPOTENCY_FIND_FINGERPRINT), keys[i].fingerprint, 32) == 0;
        verdicts[i] = same ? RUN_REPLAYED : RUN_KEY_REUSED;
        answers[i].execution_id = db_get_id(rows, r, IDEMPOTENCY_FIND_EXECUTION_ID);
        answers[i].status = (int)db_int(rows, r, IDEMPOTENCY_FIND_STATUS);
        answers[i].body = cell_span(ctx, db_cell(rows, r, IDEMPOTENCY_FIND_BODY));
    }
    return db_run_each(tx->db, tx->ctx, SQL_IDEMPOTENCY_DELETE, NULL, 0, expired, 1, expired_n, NULL);
}

enum err idempotency_store(struct db_tx *tx, const struct idempotency_key *keys, size_t n,
                           const struct run_answer *answers)
{
    uint8_t *hashes = talloc_array(tx->ctx, uint8_t, n * IDEMPOTENCY_HASH + 1);
    struct db_value *values = talloc_array(tx->ctx, struct db_value, n * IDEMPOTENCY_INSERT_SET_COUNT + 1);
    int64_t expires_ms = clock_wall_ms() + IDEMPOTENCY_HOURS * 3600000LL;
    for (size_t i = 0; i < n; i++) {
        struct db_value *v = &values[i * IDEMPOTENCY_INSERT_SET_COUNT];
        idempotency_hash(&keys[i].workspace_id, keys[i].key, hashes + i * IDEMPOTENCY_HASH);
        v[IDEMPOTENCY_INSERT_SET_KEY_HASH] = db_bytes(hashes + i * IDEMPOTENCY_HASH, IDEMPOTENCY_HASH);
        v[IDEMPOTENCY_INSERT_SET_WORKSPACE_ID] = db_id(&keys[i].workspace_id);
        v[IDEMPOTENCY_INSERT_SET_IDEMPOTENCY_KEY] = db_bytes(keys[i].key.at, keys[i].key.size);
        v[IDEMPOTENCY_INSERT_SET_FINGERPRINT] = db_bytes(keys[i].fingerprint, 32);
        v[IDEMPOTENCY_INSERT_SET_EXECUTION_ID] = db_id(&answers[i].execution_id);
        v[IDEMPOTENCY_INSERT_SET_STATUS] = db_number(answers[i].status);
        v[IDEMPOTENCY_INSERT_SET_BODY] =
            answers[i].body.at ? db_bytes(answers[i].body.at, answers[i].body.size) : db_null();
        v[IDEMPOTENCY_INSERT_SET_EXPIRES_MS] = db_number(expires_ms);
    }
    return db_run_each(tx->db, tx->ctx, SQL_IDEMPOTENCY_INSERT, NULL, 0, values, IDEMPOTENCY_INSERT_SET_COUNT,
                       n, NULL);
}
