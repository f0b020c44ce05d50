/* Credits: reading a balance, and grants by operators. Runs are charged by lib/run/accept.h and refunded by
 * lib/run/run_tx.h. */
#pragma once

#include "mariadb/db.h"
#include "redis/redis.h"

/* Limits of the texts of a grant, in bytes. */
enum { CREDIT_REASON_MAX = 500, CREDIT_REFERENCE_MAX = 200 };

struct credit_grant {
    id workspace_id;
    /* The id of the new ledger row, chosen by the caller. */
    id ledger_id;
    /* Micro-credits; a negative number corrects a balance. */
    int64_t micro;
    const char *reason;
    /* Makes the grant idempotent in its workspace, for ever; NULL: none. */
    const char *reference;
};
struct credit_grant_outcome {
    int64_t balance;
    /* False: the reference was used before, for the same amount; nothing was changed. */
    bool is_new;
    /* The grant's ledger row; also with ERR_CONFLICT, with its amount in `micro`. */
    id ledger_id;
    int64_t micro;
};
/* Adds credits under the account's lock. The new balance is copied to Redis, which may be NULL.
 * ERR_NOT_FOUND: no such workspace. ERR_LIMIT: the balance would fall below zero or exceed 64 bits.
 * ERR_CONFLICT: the reference was used for another amount. On an error nothing was changed. */
enum err credit_grant(struct db *db, struct redis *redis, const struct credit_grant *grant,
                      struct credit_grant_outcome *outcome_r) WARN_UNUSED;
/* The present balance in micro-credits. ERR_NOT_FOUND: no such workspace. */
enum err credit_balance(struct db *db, const id *workspace, int64_t *balance_r) WARN_UNUSED;
