/* Idempotency keys in MariaDB: looked up and stored inside a transaction that holds the account's lock, which
 * is what makes them exact. core/accept_run.c uses them for runs, everything else that takes the header
 * (stop, cancel, POST /workflows) through these. A key lives 24 hours from its acceptance. */
#pragma once

#include "core/accept_run.h"

enum { IDEMPOTENCY_KEY_MAX = 256, IDEMPOTENCY_HASH = 32 };

/* What a row is found by: SHA-256 over workspace and key, one column, so that a batch looks up with one IN
 * list. */
void idempotency_hash(const id *workspace, struct span key, uint8_t hash[IDEMPOTENCY_HASH]);

/* Locks the account row of a workspace (the first lock of every transaction). ERR_NOT_FOUND where there is
 * none. */
enum err account_lock(struct db_tx *tx, const id *workspace) WARN_UNUSED;
/* Changes `touched` of the account, so that the commit that follows is flushed before a replay is told. */
enum err account_touch(struct db_tx *tx, const id *workspace) WARN_UNUSED;

/* Under account_lock: 0 where the key is free (an expired row was removed), else RUN_REPLAYED (then the
 * account was touched) or RUN_KEY_REUSED. ERR_… of the database in *e_r. */
enum run_verdict idempotency_find(struct db_tx *tx, void *ctx, const id *workspace, struct span key,
                                  const uint8_t fingerprint[32], struct run_answer *answer_r, enum err *e_r);
/* Under account_lock, after idempotency_find said 0. `execution` may be unset. */
enum err idempotency_store(struct db_tx *tx, const id *workspace, struct span key,
                           const uint8_t fingerprint[32], const id *execution, int status,
                           struct span body) WARN_UNUSED;
