#include "billing/ledger_sums.h"

#include <string.h>
#include <talloc.h>

#include "account/account.h"
#include "base/failpoint.h"
#include "billing/ledger_numbers.h"

struct summing {
    struct account *accounts;
    size_t accounts_n;
    /* Of these accounts, with their parts, by workspace and id. */
    struct db_rows *rows;
    uint64_t n;
};

/* Locks the accounts of some rows that are not in the sums. None: there is no such row, or all are busy. */
static enum err lock_accounts(struct db_tx *tx, struct summing *w)
{
    struct db_rows *found;
    enum err e = db_run(tx->db, tx->ctx, SQL_LEDGER_UNSUMMED_WORKSPACES, NULL, 0, &found);
    w->accounts_n = 0;
    if (e != OK || found->count == 0)
        return e;
    id *workspaces = talloc_array(tx->ctx, id, found->count);
    for (size_t i = 0; i < found->count; i++)
        workspaces[i] = db_get_id(found, i, LEDGER_UNSUMMED_WORKSPACES_WORKSPACE_ID);
    return account_lock_free(tx, tx->ctx, workspaces, found->count, &w->accounts, &w->accounts_n);
}

/* What is not in the sums now, under the locks. Executors of older versions add such rows under the lock of
 * the numbers alone, so it is needed, too; who holds accounts does not wait for it. */
static enum err read_rows(struct db_tx *tx, struct summing *w)
{
    enum err e = db_run(tx->db, tx->ctx, SQL_LEDGER_NUMBERS_TRY, NULL, 0, &w->rows);
    if (e != OK || w->rows->count == 0)
        return e;
    struct db_value *values = talloc_array(tx->ctx, struct db_value, w->accounts_n);
    for (size_t i = 0; i < w->accounts_n; i++)
        values[i] = db_id(&w->accounts[i].workspace_id);
    return db_run_each(tx->db, tx->ctx, SQL_LEDGER_UNSUMMED, NULL, 0, values, 1, w->accounts_n, &w->rows);
}

static bool begins_row(const struct db_rows *rows, size_t i)
{
    return i == 0 ||
           strcmp(db_str(rows, i, LEDGER_UNSUMMED_ID), db_str(rows, i - 1, LEDGER_UNSUMMED_ID)) != 0 ||
           strcmp(db_str(rows, i, LEDGER_UNSUMMED_WORKSPACE_ID),
                  db_str(rows, i - 1, LEDGER_UNSUMMED_WORKSPACE_ID)) != 0;
}

static struct day_sum sum_of(const struct summing *w, size_t i)
{
    const struct db_rows *rows = w->rows;
    id workspace = db_get_id(rows, i, LEDGER_UNSUMMED_WORKSPACE_ID);
    id row = db_get_id(rows, i, LEDGER_UNSUMMED_ID);
    bool is_part = !db_cell(rows, i, LEDGER_UNSUMMED_PART_GRANT_ID)->is_null;
    return (struct day_sum){
        .workspace_id = workspace,
        .day = ledger_day(account_find(w->accounts, w->accounts_n, &workspace)->timezone, id_ms(&row)),
        .kind = db_int(rows, i, LEDGER_UNSUMMED_KIND),
        .responder_id = db_get_id(rows, i, LEDGER_UNSUMMED_RESPONDER_ID),
        .key_id = db_get_id(rows, i, LEDGER_UNSUMMED_KEY_ID),
        .grant_id = db_get_id(rows, i, is_part ? LEDGER_UNSUMMED_PART_GRANT_ID : LEDGER_UNSUMMED_GRANT_ID),
        .n = begins_row(rows, i),
        .amount = db_int(rows, i, is_part ? LEDGER_UNSUMMED_PART : LEDGER_UNSUMMED_AMOUNT),
    };
}

static enum err add_rows(struct db_tx *tx, struct summing *w)
{
    struct day_sum *sums = talloc_array(tx->ctx, struct day_sum, w->rows->count + 1);
    for (size_t i = 0; i < w->rows->count; i++)
        sums[i] = sum_of(w, i);
    return ledger_add_sums(tx, sums, w->rows->count);
}

static enum err mark_rows(struct db_tx *tx, struct summing *w)
{
    const struct db_rows *rows = w->rows;
    struct ledger_row_key *list = talloc_array(tx->ctx, struct ledger_row_key, rows->count);
    for (size_t i = 0; i < rows->count; i++) {
        if (begins_row(rows, i))
            list[w->n++] = (struct ledger_row_key){db_get_id(rows, i, LEDGER_UNSUMMED_WORKSPACE_ID),
                                                   db_get_id(rows, i, LEDGER_UNSUMMED_ID)};
    }
    return ledger_numbers_write(tx, list, w->n, LEDGER_NO_NUMBER);
}

/* If it runs again after a COMMIT whose outcome is unknown, it finds the rows marked. */
static enum err sum_work(struct db_tx *tx, void *arg)
{
    struct summing *w = arg;
    w->n = 0;
    enum err e = lock_accounts(tx, w);
    if (e != OK || w->accounts_n == 0)
        return e;
    e = read_rows(tx, w);
    if (e != OK || w->rows->count == 0)
        return e;
    e = add_rows(tx, w);
    if (e == OK)
        e = mark_rows(tx, w);
    failpoint("ledger_sums.before_commit");
    return e;
}

enum err ledger_sums_step(struct db *db, uint64_t *n_r)
{
    struct summing w = {0};
    enum err e = db_transaction(db, sum_work, &w);
    *n_r = e == OK ? w.n : 0;
    return e;
}
