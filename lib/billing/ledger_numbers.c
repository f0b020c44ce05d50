#include "billing/ledger_numbers.h"

#include <talloc.h>

#include "account/ledger.h"
#include "base/failpoint.h"

struct numbering {
    /* Also without a destination. */
    bool numbers_all;
    int64_t last;
    uint64_t n;
};

enum err ledger_numbers_write(struct db_tx *tx, const struct ledger_row_key *rows, size_t n, int64_t number)
{
    struct db_value *ids = talloc_array(tx->ctx, struct db_value, n + 1);
    enum err e = OK;
    for (size_t i = 0, same; e == OK && i < n; i += same) {
        struct db_value head[] = {db_number(number), db_id(&rows[i].workspace_id)};
        for (same = 0; i + same < n && id_equal(&rows[i + same].workspace_id, &rows[i].workspace_id); same++)
            ids[same] = db_id(&rows[i + same].id);
        e = db_run_each(tx->db, tx->ctx, SQL_LEDGER_NUMBER, head, 2, ids, 1, same, NULL);
    }
    return e;
}

static enum err number_rows(struct db_tx *tx, const struct db_rows *rows, int64_t number)
{
    struct ledger_row_key *list = talloc_array(tx->ctx, struct ledger_row_key, rows->count);
    for (size_t i = 0; i < rows->count; i++)
        list[i] = (struct ledger_row_key){db_get_id(rows, i, LEDGER_UNNUMBERED_WORKSPACE_ID),
                                          db_get_id(rows, i, LEDGER_UNNUMBERED_ID)};
    return ledger_numbers_write(tx, list, rows->count, number);
}

/* If it runs again after a COMMIT whose outcome is unknown, it finds the rows numbered. */
static enum err number_work(struct db_tx *tx, void *arg)
{
    struct numbering *w = arg;
    struct db_rows *numbers, *rows;
    w->n = 0;
    enum err e = db_run(tx->db, tx->ctx, SQL_LEDGER_NUMBERS_LOCK, NULL, 0, &numbers);
    if (e == OK && numbers->count != 1)
        e = ERR_INTERNAL;
    if (e != OK)
        return e;
    w->last = db_int(numbers, 0, LEDGER_NUMBERS_LOCK_LAST);
    if (!w->numbers_all && db_int(numbers, 0, LEDGER_NUMBERS_LOCK_IS_WANTED) == 0)
        return OK;
    struct db_value args[] = {db_number(LEDGER_NO_NUMBER), db_number(LEDGER_NUMBERS_ROWS)};
    e = db_run(tx->db, tx->ctx, SQL_LEDGER_UNNUMBERED, args, 2, &rows);
    if (e != OK || rows->count == 0)
        return e;
    w->last++;
    w->n = rows->count;
    e = number_rows(tx, rows, w->last);
    struct db_value last = db_number(w->last);
    failpoint("ledger_numbers.before_commit");
    return e == OK ? db_run(tx->db, tx->ctx, SQL_LEDGER_NUMBERS_WRITE, &last, 1, NULL) : e;
}

enum err ledger_numbers_step(struct db *db, uint64_t *n_r)
{
    struct numbering w = {0};
    enum err e = db_transaction(db, number_work, &w);
    *n_r = e == OK ? w.n : 0;
    return e;
}

enum err ledger_numbers_give(struct db_tx *tx, int64_t *last_r, uint64_t *n_r)
{
    struct numbering w = {.numbers_all = true};
    enum err e = number_work(tx, &w);
    *last_r = w.last;
    *n_r = w.n;
    return e;
}
