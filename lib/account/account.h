/* The account row of a workspace: its balance, its count of active roots, and the lock under which money,
 * idempotency keys and concurrency are decided. Accounts are locked before anything else, by ascending
 * workspace id. */
#pragma once

#include <stdbool.h>

#include "base/ids.h"
#include "mariadb/db.h"
#include "redis/redis.h"

struct account { /* a locked row; change it, set `changed`, write it back with account_write */
    id workspace_id;
    int64_t balance, version; /* micro-credits */
    int64_t active;
    int64_t max_concurrent;  /* 0: not set, and then `active` is not kept */
    int64_t price;           /* micro; -1: not set */
    int64_t catalog_version; /* from 1; grows with each change of a workflow or skill, see
                                account_bump_catalog_version */
    bool changed;            /* balance or active: version grows */
    bool touched;            /* only so that the commit has something to flush */
};

/* Locks the accounts of `n` workspaces (any order, repetitions allowed) FOR UPDATE. The rows found,
 * ascending, are of ctx. */
enum err account_lock(struct db_tx *tx, void *ctx, const id *workspaces, size_t n,
                      struct account **accounts_r, size_t *accounts_n_r) WARN_UNUSED;
struct account *account_find(struct account *accounts, size_t n, const id *workspace);
/* Writes back those that were changed or touched. */
enum err account_write(struct db_tx *tx, struct account *accounts, size_t n) WARN_UNUSED;
/* Before a workflow or skill of the workspace gets another version or is archived: whoever looked it up
 * beside this number, and finds the number unchanged under the account's lock, knows that it is still
 * current. Locks the account. */
enum err account_bump_catalog_version(struct db_tx *tx, const id *workspace) WARN_UNUSED;
/* After the commit: the counters of the changed ones, queued. */
void account_publish(struct redis *redis, const struct account *accounts, size_t n);

enum ledger_kind { LEDGER_GRANT = 1, LEDGER_DEBIT = 2, LEDGER_REFUND = 3 };
struct ledger_entry {
    id workspace_id, id;
    enum ledger_kind kind;
    int64_t amount; /* micro; debits are negative */
    id execution_id, responder_id, key_id;
    const char *reason; /* grants; NULL otherwise */
};
enum err account_add_ledger_entries(struct db_tx *tx, const struct ledger_entry *entries,
                                    size_t n) WARN_UNUSED;
