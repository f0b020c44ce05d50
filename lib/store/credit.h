/* Credits: balances as they are read, and what is given by operators; what runs cost and get back is
 * lib/run/accept.h's and lib/run/run_tx.h's. */
#pragma once

#include "mariadb/db.h"
#include "redis/redis.h"

/* Adds `micro` micro-credits (or takes them, for corrections) under the account's lock, with a row of the
 * ledger whose id the caller has chosen, and tells Redis. ERR_NOT_FOUND: no such workspace; ERR_LIMIT: the
 * balance would fall below zero or leave 64 bits; nothing was done then. Redis may be NULL. */
enum err credit_grant(struct db *db, struct redis *redis, const id *workspace, const id *ledger_row,
                      int64_t micro, const char *reason, int64_t *balance_r) WARN_UNUSED;
/* The balance as it is now. */
enum err credit_balance(struct db *db, const id *workspace, int64_t *balance_r) WARN_UNUSED;
