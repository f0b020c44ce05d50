/* Budgets in the transactions that debit and refund (docs/budgets.md). Rows of `budgets` are read and written
 * only under the lock of their workspace's account, so plain SELECTs decide.
 *
 * A transaction that debits: budget_set_read for all candidates, then, in memory, budget_set_allows and
 * budget_set_debit for one after the other, then budget_set_write. The ledger row of a debit names the
 * budgets in which it counts, and their periods (budget_set_marks); a refund reads them there. Accounts whose
 * `budgets` is 0 cost no statement. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "account/account.h"
#include "account/budget_refusal.h"
#include "base/span.h"
#include "mariadb/db.h"
#include "schedule/period.h"

/* Stored in MariaDB: add new ones, never renumber. */
enum budget_scope {
    BUDGET_WORKSPACE = 1,
    BUDGET_KEY = 2,
    BUDGET_PRINCIPAL = 3,
    BUDGET_RESPONDER = 4,
    BUDGET_TAG = 5,
};

enum {
    BUDGETS_OF_RUN_MAX = 8,
    BUDGET_HASH_SIZE = 32,
    BUDGET_TARGET_MAX = 256,
    /* Of one budget in the column credit_ledger.budgets: its id, and the start of the period as 64 bits,
     * big-endian. */
    BUDGET_MARK_SIZE = 24,
    BUDGET_MARKS_MAX = BUDGETS_OF_RUN_MAX * BUDGET_MARK_SIZE,
    /* Bits of account.budgets. */
    ACCOUNT_HAS_BUDGETS = 1,
    ACCOUNT_HAS_TAG_BUDGETS = 2,
    /* Bits of budget.told: crossings of this period that were reported. */
    BUDGET_TOLD_SOFT = 1,
    BUDGET_TOLD_EXCEEDED = 2,
};

struct budget_row {
    id id, workspace_id;
    enum budget_scope scope;
    /* An id as text, or the bytes of a tag; empty for BUDGET_WORKSPACE. */
    struct span target;
    enum period_kind period;
    /* Micro-credits. */
    int64_t limit, used;
    /* 0: none. */
    int soft_percent;
    struct period current;
    uint32_t told;
};

/* What a run counts with. */
struct budget_subject {
    const struct account *account;
    id key_id, principal_id, responder_id;
    const struct span *tags;
    size_t tags_n;
};

struct budget_set;

/* "workspace" ...; NULL: no such number. 0: no such word. */
const char *budget_scope_name(enum budget_scope scope);
enum budget_scope budget_scope_from_name(const char *name);
/* Finds the budgets of a target by one index. */
void budget_hash(const id *workspace, enum budget_scope scope, struct span target,
                 uint8_t hash_r[BUDGET_HASH_SIZE]);
/* Whether soft_percent of the limit is reached. */
bool budget_is_soft(const struct budget_row *b);

/* Reads what the `n` subjects match, at the time of their accounts' locks. A period that is over is replaced
 * by the one of now, in memory. A subject without an account, or whose account has no budgets, matches none.
 * *set_r is of ctx. */
enum err budget_set_read(struct db_tx *tx, void *ctx, const struct budget_subject *subjects, size_t n,
                         struct budget_set **set_r) WARN_UNUSED;

/* Whether subject `i` may be charged `cost`. If not: *refusal_r is the budget that is reset last, and those
 * that refuse count as exceeded. `set` NULL: yes. */
bool budget_set_allows(struct budget_set *set, size_t i, int64_t cost, struct budget_refusal *refusal_r);
/* Counts a debit that budget_set_allows has allowed. `set` may be NULL. */
void budget_set_debit(struct budget_set *set, size_t i, int64_t cost);
/* The value of credit_ledger.budgets for subject `i`, of the set; absent: NULL. */
struct span budget_set_marks(const struct budget_set *set, size_t i);
/* Writes the rows that have changed, and the periods that are over. */
enum err budget_set_write(struct db_tx *tx, struct budget_set *set) WARN_UNUSED;

/* Begins the periods of now where no run has begun them: a period that has begun keeps its end when the
 * account's time zone is changed. Under the account's lock, before the change. */
enum err budget_begin_periods(struct db_tx *tx, const struct account *a) WARN_UNUSED;

/* A budget that has reached a level which it had not, in this transaction. */
struct budget_crossing {
    const struct budget_row *budget;
    /* BUDGET_TOLD_SOFT or BUDGET_TOLD_EXCEEDED. */
    uint32_t level;
};
/* The crossings since the set was read; of the set. `set` may be NULL. */
const struct budget_crossing *budget_set_crossings(const struct budget_set *set, size_t *n_r);

/* Lowers the counters of debits that are refunded, each in the period in which it was debited, and names
 * these in entry.budgets (of tx->ctx). Reads nothing for accounts without budgets. */
enum err budget_refund(struct db_tx *tx, const struct account *accounts, size_t accounts_n,
                       struct ledger_entry *refunds, size_t refunds_n) WARN_UNUSED;
