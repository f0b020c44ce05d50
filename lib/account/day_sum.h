/* Sums of the ledger by workspace, day, kind, responder, key and grant: what credit_sums keeps of all rows
 * (ledger.h), and ledger_rollup_sums of those that were removed (billing/roll_up.h). */
#pragma once

#include "mariadb/db.h"

struct day_sum {
    id workspace_id;
    int64_t day; /* since 1970-01-01, of the calendar that the table counts in; or a month */
    int64_t kind;
    id responder_id, key_id, grant_id; /* unset: none */
    int64_t n, amount;
};

/* Sorts, and adds equal ones up in place. Returns how many are left. */
size_t day_sums_merge(struct day_sum *sums, size_t n);
/* Adds them to the rows of a table with one row for each: `query` is SQL_SUMS_ADD or SQL_ROLL_UP_SUMS_ADD. */
enum err day_sums_add(struct db_tx *tx, enum sql_id query, const struct day_sum *sums, size_t n) WARN_UNUSED;
