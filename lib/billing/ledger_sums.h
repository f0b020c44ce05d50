/* Sums of rows of the ledger that an older program has inserted: such rows are in no sum and have the number
 * NULL (account/ledger.h). The task `ledger_sums` adds them under their accounts' locks, as every other
 * writer of sums does, and gives them LEDGER_NO_NUMBER, all in one transaction, so that each is in the sums
 * exactly once. Until then a reader adds them to the sums, in one statement. */
#pragma once

#include "mariadb/db.h"

/* One transaction, of at most 200 rows (sql/queries/billing/ledger_unsummed.sql). *n_r: rows that were added;
 * 0: there are no more. Rows of accounts that another transaction has locked are left for a later one, and so
 * are those of frozen workspaces. */
enum err ledger_sums_step(struct db *db, uint64_t *n_r) WARN_UNUSED;
