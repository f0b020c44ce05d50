/* The sums of the ledger by day, responder, key, kind and grant, and by month, and the numbers of its rows.
 *
 * A row enters the ledger without a number. The task `ledger_sums` adds committed rows to the sums and gives
 * them the next number, all in one transaction, under the lock of one row; so each row is in the sums exactly
 * once. An id says when a row was made, and nothing about when others see it; a number does: no row ever
 * appears with the last number or a lower one. A reader adds the rows without a number to the sums, in one
 * statement.
 *
 * A row belongs to the day of the time in its id, in the time zone that the workspace has when the row is
 * numbered, which is a second or two after its commit. That day stays when the time zone is changed. */
#pragma once

#include "mariadb/db.h"

/* Rows of the ledger that one transaction numbers; it changes about twice as many. */
enum { LEDGER_SUMS_ROWS = 200 };

/* One transaction. *n_r: rows that were numbered; LEDGER_SUMS_ROWS: there may be more. */
enum err ledger_sums_step(struct db *db, uint64_t *n_r) WARN_UNUSED;
