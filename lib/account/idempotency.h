/* Idempotency keys in MariaDB: looked up and stored inside a transaction that holds the account's lock, which
 * is what makes them exact. A key lives 24 hours from its acceptance. Runs are accepted in batches
 * (lib/run/accept.c); everything else that takes the header (stop, cancel, POST /workflows) uses the single
 * calls. */
#pragma once

#include "account/account.h"
#include "account/run_answer.h"

enum { IDEMPOTENCY_KEY_MAX = 256, IDEMPOTENCY_HASH = 32, IDEMPOTENCY_HOURS = 24 };

struct idempotency_key {
    id workspace_id;
    struct span key;
    const uint8_t *fingerprint; /* 32 bytes: SHA-256 of the request */
};

/* What a row is found by: SHA-256 over workspace and key, one column, so that a batch looks up with one IN
 * list. */
void idempotency_hash(const id *workspace, struct span key, uint8_t hash[IDEMPOTENCY_HASH]);

/* Looks up `n` keys whose accounts are locked. verdicts[i] becomes 0 (free; an expired row was removed),
 * RUN_REPLAYED or RUN_KEY_REUSED, and answers[i] (of ctx) what was answered first. The caller touches the
 * accounts of replays. */
enum err idempotency_find(struct db_tx *tx, void *ctx, const struct idempotency_key *keys, size_t n,
                          enum run_verdict *verdicts, struct run_answer *answers) WARN_UNUSED;

/* Stores keys that were found free, under the same lock. answers[i]: execution_id (may be unset), status,
 * body. */
enum err idempotency_store(struct db_tx *tx, const struct idempotency_key *keys, size_t n,
                           const struct run_answer *answers) WARN_UNUSED;
