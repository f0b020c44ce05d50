/* The ledger: a row for each change of a balance. Whoever inserts rows adds them, in the same transaction, to
 * the sums of days and months from which bills and statements are made (docs/correctness.md, "Sums of the
 * ledger"). Both belong to the account, and are written under its lock only.
 *
 * A row belongs to the day of the time in its id, in the time zone that the workspace has when the row is
 * inserted. That day stays when the time zone is changed.
 *
 * A row's `number` is its place in what is sent to the destinations of the operator
 * (billing/ledger_numbers.h), or one of the values below. */
#pragma once

#include <stdint.h>

#include "account/day_sum.h"
#include "account/grant.h"
#include "base/ids.h"
#include "base/span.h"
#include "mariadb/db.h"

/* Stored in MariaDB: `number` of a row that is in the sums and has no place yet. NULL: the row of an older
 * program, which is not in the sums either. 0: the row came with its workspace from another installation,
 * which sends it. */
#define LEDGER_NO_NUMBER INT64_MIN

enum ledger_kind {
    LEDGER_GRANT = 1,
    LEDGER_DEBIT,
    LEDGER_REFUND,
    LEDGER_EXPIRY,
    LEDGER_VOID,
    LEDGER_RELEASE,
    LEDGER_KINDS_END
};

struct ledger_entry {
    id workspace_id, id;
    enum ledger_kind kind;
    /* Micro-credits; negative for debits, expiries and voids. */
    int64_t amount;
    id execution_id, responder_id, key_id;
    /* Of a grant or a void; NULL otherwise. */
    const char *reason;
    /* The grant that it comes from or goes to; unset: several (the rows are in credit_parts), or nothing. */
    id grant_id;
    /* Of a debit and its refund: the budgets in which it counts (lib/spending/budget.h); absent: none. */
    struct span budgets;
};

/* What of a locked account the sums need. */
struct ledger_owner {
    id workspace_id;
    /* NULL: UTC. */
    const char *timezone;
    /* Of entries that concern several grants. */
    const struct grant_part *parts;
    size_t parts_n;
};

/* Inserts rows and adds them to the sums. The owners of all entries are among the `owners_n`; ERR_INTERNAL:
 * one is missing. Callers use account_add_ledger_entries. */
enum err ledger_add(struct db_tx *tx, const struct ledger_owner *owners, size_t owners_n,
                    const struct ledger_entry *entries, size_t n) WARN_UNUSED;

/* The day of an instant, in days since 1970-01-01. NULL: UTC. */
int64_t ledger_day(const char *timezone, int64_t instant_ms);

/* Adds `n` sums of days to credit_sums, and to credit_months as those of months. Changes the list. */
enum err ledger_add_sums(struct db_tx *tx, struct day_sum *sums, size_t n) WARN_UNUSED;

/* The sum of a kind in the month of an instant. The workspace's account is locked. */
enum err ledger_month_amount(struct db_tx *tx, const struct ledger_owner *owner, int64_t instant_ms,
                             enum ledger_kind kind, int64_t *amount_r) WARN_UNUSED;
