/* Grants: what a balance consists of. Every debit, refund, grant, expiry and void of credits is made here, in
 * memory, on an account that is locked; account_write stores it.
 *
 * Credits are taken from grants in this order: lowest priority number, soonest expiry (never is last),
 * promotional before paid, earliest start, lowest id. The first of them is the account's head grant. Its
 * remaining amount is kept in the account's row; the one in its own row is out of date. A debit that fits in
 * the head grant before `next_change_ms` reads and writes no row but the account's.
 *
 * A grant enters the ledger and the balance when it starts. Starts and expiries that are due are made by
 * whoever finds them first under the account's lock: a debit, a refund, a grant, or the task `grants`. All
 * times are MariaDB's. docs/billing.md has the rules, docs/correctness.md the failure cases. */
#pragma once

#include "account/account.h"

/* Micro-credits that an account can have, and that it can be granted in a month less corrections, both with
 * scheduled grants included. Far below 64 bits, so that refunds of what was debited before still fit, and so
 * do the sums of a month (credit_months): a grant that is voided or expires leaves room for another one in
 * the balance, but both stay in the sum. */
#define GRANTS_TOTAL_MAX (INT64_C(1) << 62)
/* Grants of an account that are scheduled or have something left: a transaction that serves other tenants too
 * may read all of them. Grants that take refunds may be more. */
enum { GRANTS_OPEN_MAX = 1000 };
/* Refunds of an expired grant go to a grant that lives so long, or as long as the expired one if that is
 * less. */
#define GRANT_REFUND_LIFE_MS (INT64_C(30) * 86400000)

/* Call before the first change of balances. `wanted` of each account: the sum that is to be debited, or
 * INT64_MAX if the grants are needed in any case. Reads the grants of those accounts whose rows cannot decide
 * it, and makes the starts and expiries that are due. One statement; none if the accounts' rows suffice. */
enum err account_open_grants(struct db_tx *tx, struct account *accounts, size_t n) WARN_UNUSED;

/* Whether `amount` (0 or more) can be debited. */
bool account_covers(const struct account *a, int64_t amount);
/* Debits an amount that is covered. Returns the grant for the ledger row `ledger_id`; unset if it concerns
 * several. */
id account_debit(struct account *a, const id *ledger_id, int64_t amount);

/* Refunds debits of runs, or releases parts of them (LEDGER_RELEASE), to the grants that they came from; a
 * release to those first that were used last. Sets the grants of the entries, which the
 * caller adds to the ledger. The accounts of all entries are locked. What came from an expired grant goes to
 * a new grant of the same category and priority; what came from a voided one is voided again. ERR_INTERNAL: a
 * balance would exceed 64 bits, or a debit is missing. */
enum err account_refund(struct db_tx *tx, struct account *accounts, size_t n, struct ledger_entry *refunds,
                        size_t refunds_n) WARN_UNUSED;

/* Adds a grant: id, category, priority, amount (> 0), effective_ms, expires_ms, created_ms and note are
 * given. `granted`: the sum of LEDGER_GRANT in the month of its id (ledger_month_amount). The account's
 * grants are open. ERR_LIMIT: the account would exceed GRANTS_TOTAL_MAX or GRANTS_OPEN_MAX. */
enum err account_add_grant(struct account *a, const struct grant *grant, int64_t granted) WARN_UNUSED;
/* Takes what the grant has left out of the balance. `by`: the id of the request and of its ledger row.
 * *before_r: the grant as it was. ERR_NOT_FOUND: there is none. ERR_CONFLICT: it has expired. Nothing is
 * changed if it is voided already. The account's grants are open. */
enum err account_void_grant(struct db_tx *tx, struct account *a, const id *grant, const id *by,
                            const char *reason, struct grant *before_r) WARN_UNUSED;

/* Makes the starts and expiries of up to 64 accounts that are due. *n_r: these accounts, without those that
 * another transaction has locked. */
enum err grants_make_due(struct db *db, struct redis *redis, size_t *n_r) WARN_UNUSED;
