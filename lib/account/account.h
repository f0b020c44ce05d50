/* The account row of a workspace: its balance and its count of active roots. The row's lock protects every
 * decision about money, idempotency keys and concurrency. A transaction locks accounts before any other row,
 * by ascending workspace id. */
#pragma once

#include <stdbool.h>

#include "account/alerts.h"
#include "account/grant.h"
#include "account/ledger.h"
#include "base/ids.h"
#include "mariadb/db.h"
#include "redis/redis.h"

/* A locked row. Change the fields, set `changed`, and write the row back with account_write.
 *
 * Whoever decides under an account's lock writes the account, also if nothing changes and if the decision is
 * a refusal. The lock is known to one server; the write is known to all that replicate to each other, and of
 * two transactions that have written one account there, the second fails. The write also makes the server
 * flush its log before the decision is reported. account_write writes what was read by account_lock; before
 * COMMIT, accounts that nobody has written are written (`touched` is incremented). */
struct account {
    id workspace_id;
    /* Micro-credits. What changes it is in lib/account/grants.h. */
    int64_t balance;
    /* The grant that is used first, and what it has left; unset and 0: none. */
    id head_grant;
    int64_t head_remaining;
    /* MariaDB's wall time of the next start or expiry of a grant; 0: none. */
    int64_t next_change_ms;
    /* NULL while account_open_grants had no need to read them. */
    struct account_grants *grants;
    /* What is to be debited; see account_open_grants. */
    int64_t wanted;
    /* Grows with each change of balance, active or delayed. Redis keeps the copy with the highest version. */
    int64_t version;
    /* Roots that are queued or running; maintained only while max_concurrent is set. */
    int64_t active;
    /* Roots that wait for their start (lib/run/delayed.h); `active` does not count them. */
    int64_t delayed;
    /* 0: not set. */
    int64_t max_concurrent;
    /* Micro-credits a run; -1: not set. */
    int64_t price;
    /* Starts at 1 and grows with each change of a workflow or skill; see account_bump_catalog_version. */
    int64_t catalog_version;
    /* What budgets the workspace has: bits of lib/spending/budget.h; 0: none. */
    uint32_t budgets;
    /* What price lists the workspace has: bits of lib/spending/price_list.h; 0: none. */
    uint32_t prices;
    struct account_alerts alerts;
    /* By which its days and months are counted; NULL: UTC. */
    const char *timezone;
    /* MariaDB's wall time when the row was locked. */
    int64_t now_ms;
    /* balance, `active` or `delayed` was changed: account_write increments the version. */
    bool changed;
};

/* Locks the accounts of `n` workspaces (in any order, repetitions allowed) FOR UPDATE. Returns the rows that
 * exist, ascending by workspace id, allocated on ctx. ERR_FROZEN: one of them is frozen. */
enum err account_lock(struct db_tx *tx, void *ctx, const id *workspaces, size_t n,
                      struct account **accounts_r, size_t *accounts_n_r) WARN_UNUSED;
/* The same without waiting: an account that another transaction has locked is missing from the result. For
 * transactions that serve several workspaces: one locked account must not delay the others. Frozen accounts
 * are missing, too. */
enum err account_lock_free(struct db_tx *tx, void *ctx, const id *workspaces, size_t n,
                           struct account **accounts_r, size_t *accounts_n_r) WARN_UNUSED;
enum {
    /* A request whose account stays locked for so long is given up. */
    ACCOUNT_BUSY_TIMEOUT_MS = 2000,
    ACCOUNT_BUSY_PAUSE_MAX_MS = 50,
};
/* The pause before the next attempt to lock a busy account: 1, 2, 4 ... 32, then 50 ms, for `tries` 0, 1, 2
 * ... */
int account_busy_pause_ms(unsigned tries);
/* NULL if the workspace is not in the list. */
struct account *account_find(struct account *accounts, size_t n, const id *workspace);
/* Writes locked accounts back, with their grants where these are open, and tells webhooks of the lines that
 * they cross. Once in a transaction. */
enum err account_write(struct db_tx *tx, struct account *accounts, size_t n) WARN_UNUSED;
/* Call this before a workflow or skill of the workspace gets a new version or another price, or is archived.
 * A caller that read a version and its price together with catalog_version, and finds catalog_version
 * unchanged under the account's lock, knows that both are still current. Locks the account. */
enum err account_bump_catalog_version(struct db_tx *tx, const id *workspace) WARN_UNUSED;
/* After the commit: queues the new balances of the changed accounts for Redis. */
void account_publish(struct redis *redis, const struct account *accounts, size_t n);

/* Adds rows to the ledger and to its sums. The accounts of all entries are locked and among the `accounts_n`,
 * with the parts of entries that concern several grants. */
enum err account_add_ledger_entries(struct db_tx *tx, const struct account *accounts, size_t accounts_n,
                                    const struct ledger_entry *entries, size_t n) WARN_UNUSED;
