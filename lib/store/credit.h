/* Credits: reading a balance, and grants by operators. Runs are charged by lib/run/accept.h and refunded by
 * lib/run/run_tx.h. */
#pragma once

#include "mariadb/db.h"
#include "redis/redis.h"

/* Adds `micro` micro-credits under the account's lock; a negative number corrects a balance. `ledger_row` is
 * the id of the new ledger row, chosen by the caller. The new balance is copied to Redis, which may be NULL.
 * ERR_NOT_FOUND: no such workspace. ERR_LIMIT: the balance would fall below zero or exceed 64 bits; nothing
 * was changed. */
enum err credit_grant(struct db *db, struct redis *redis, const id *workspace, const id *ledger_row,
                      int64_t micro, const char *reason, int64_t *balance_r) WARN_UNUSED;
/* The present balance in micro-credits. ERR_NOT_FOUND: no such workspace. */
enum err credit_balance(struct db *db, const id *workspace, int64_t *balance_r) WARN_UNUSED;
