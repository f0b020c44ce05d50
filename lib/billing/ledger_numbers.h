/* The numbers of the ledger's rows, by which they are sent to destinations of the operator (lib/push).
 *
 * A row is inserted without a number (account/ledger.h). While there is a destination, the task
 * `ledger_numbers` gives committed rows the next one, under the lock of one row. An id says when a row was
 * made, and nothing about when others see it; a number does: no row ever appears with the last number or a
 * lower one. Without a destination nobody needs numbers, and rows have none until the first one is added. */
#pragma once

#include "base/ids.h"
#include "mariadb/db.h"

/* Rows of the ledger that one transaction numbers, all with one number. */
enum { LEDGER_NUMBERS_ROWS = 200 };

/* One transaction of the task. *n_r: rows that were numbered; LEDGER_NUMBERS_ROWS: there may be more. */
enum err ledger_numbers_step(struct db *db, uint64_t *n_r) WARN_UNUSED;
/* The same inside a transaction, also without a destination. *last_r: the last number. */
enum err ledger_numbers_give(struct db_tx *tx, int64_t *last_r, uint64_t *n_r) WARN_UNUSED;

struct ledger_row_key {
    id workspace_id, id;
};

/* Writes a number into rows, of which those of one workspace stand together. */
enum err ledger_numbers_write(struct db_tx *tx, const struct ledger_row_key *rows, size_t n,
                              int64_t number) WARN_UNUSED;
