/* The numbers of the ledger's rows, by which they are sent to destinations of the operator (lib/push), and
 * the sums of the rows of older programs.
 *
 * A row is inserted without a number (account/ledger.h). While there is a destination, the task `ledger_sums`
 * gives committed rows the next number, in one transaction under the lock of one row. An id says when a row
 * was made, and nothing about when others see it; a number does: no row ever appears with the last number or
 * a lower one. Without a destination nobody needs numbers, and rows have none until the first one is added.
 *
 * Programs before numbers were optional inserted rows that were not in the sums, either. The task adds them
 * in the transaction that numbers them, so that each is in the sums exactly once. Until then a reader adds
 * them to the sums, in one statement. */
#pragma once

#include "mariadb/db.h"

/* Rows of the ledger that one transaction numbers. */
enum { LEDGER_SUMS_ROWS = 200 };

/* One transaction of the task. *n_r: rows that were numbered; LEDGER_SUMS_ROWS: there may be more. */
enum err ledger_sums_step(struct db *db, uint64_t *n_r) WARN_UNUSED;
/* Numbers up to LEDGER_SUMS_ROWS of the rows that are committed, inside a transaction, with the lock that
 * protects the numbers. *n_r as above. *last_r: the last number. */
enum err ledger_number_rows(struct db_tx *tx, int64_t *last_r, uint64_t *n_r) WARN_UNUSED;
