/* Idempotency keys in MariaDB. Keys are looked up and stored in a transaction that holds the account's lock,
 * so the result is exact. A key lives 24 hours from its acceptance. Runs are accepted in batches
 * (lib/run/accept.c); the other requests that take the header (stop, cancel, POST /workflows) pass one key.
 */
#pragma once

#include "account/account.h"
#include "account/stored_response.h"

enum {
    /* Octets of the Idempotency-Key header. */
    IDEMPOTENCY_KEY_MAX = 256,
    /* SHA-256 of the request. */
    IDEMPOTENCY_FINGERPRINT = 32,
    IDEMPOTENCY_HOURS = 24,
};

struct idempotency_key {
    id workspace_id;
    /* Absent: the request has no key. */
    struct span key;
    /* IDEMPOTENCY_FINGERPRINT bytes. */
    const uint8_t *fingerprint;
};

enum idempotency_state {
    IDEMPOTENCY_FREE = 0,
    /* The key is known with this fingerprint: send the stored response again. */
    IDEMPOTENCY_REPLAY,
    /* The key is known with another fingerprint: HTTP 422. */
    IDEMPOTENCY_REUSED,
};

struct idempotency_match {
    enum idempotency_state state;
    /* The run that the request started or stopped; unset: none. Not set if the key is free. */
    id execution_id;
    struct stored_response response;
};

/* Looks up `n` keys whose accounts are locked, and fills matches[i] (bodies on ctx). An expired key is
 * deleted and reported as free. The caller touches the accounts of replays. */
enum err idempotency_find(struct db_tx *tx, void *ctx, const struct idempotency_key *keys, size_t n,
                          struct idempotency_match *matches) WARN_UNUSED;

struct idempotency_entry {
    struct idempotency_key key;
    /* May be unset. */
    id execution_id;
    struct stored_response response;
};

/* Stores keys that were found free under the same lock. */
enum err idempotency_store(struct db_tx *tx, const struct idempotency_entry *entries, size_t n) WARN_UNUSED;

/* Looks up one key in its own transaction, for a request that is about to be rejected. A replay is reported
 * only after a commit was flushed. The body is on ctx. */
enum err idempotency_lookup(struct db *db, void *ctx, const struct idempotency_key *key,
                            struct idempotency_match *match_r) WARN_UNUSED;
