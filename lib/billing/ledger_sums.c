#include "billing/ledger_sums.h"

#include <string.h>
#include <talloc.h>

#include "account/ledger.h"
#include "base/failpoint.h"
#include "schedule/calendar.h"

struct numbering {
    /* Also without a destination. */
    bool numbers_all;
    struct db_rows *rows;
    /* What the rows get. */
    int64_t number;
    uint64_t n;
};

static bool begins_row(const struct db_rows *rows, size_t i)
{
    return i == 0 ||
           strcmp(db_str(rows, i, LEDGER_UNNUMBERED_ID), db_str(rows, i - 1, LEDGER_UNNUMBERED_ID)) != 0 ||
           strcmp(db_str(rows, i, LEDGER_UNNUMBERED_WORKSPACE_ID),
                  db_str(rows, i - 1, LEDGER_UNNUMBERED_WORKSPACE_ID)) != 0;
}

static bool has_zone_of_last(const struct db_rows *rows, size_t i)
{
    const char *last = i > 0 ? db_str(rows, i - 1, LEDGER_UNNUMBERED_TIMEZONE) : NULL;
    const char *this = db_str(rows, i, LEDGER_UNNUMBERED_TIMEZONE);
    return i > 0 && (last && this ? strcmp(last, this) == 0 : last == this);
}

/* Rows of older programs, which have added them to no sum. */
static enum err sum_rows(struct db_tx *tx, const struct db_rows *rows)
{
    struct calendar_days days = {0};
    struct day_sum *sums = talloc_array(tx->ctx, struct day_sum, rows->count + 1);
    size_t n = 0;
    for (size_t i = 0; i < rows->count; i++) {
        id row = db_get_id(rows, i, LEDGER_UNNUMBERED_ID);
        bool is_part = !db_cell(rows, i, LEDGER_UNNUMBERED_PART_GRANT_ID)->is_null;
        if (!db_cell(rows, i, LEDGER_UNNUMBERED_NUMBER)->is_null)
            continue;
        if (!days.zone || !has_zone_of_last(rows, i))
            days = (struct calendar_days){
                .zone = calendar_zone(tx->ctx, db_str(rows, i, LEDGER_UNNUMBERED_TIMEZONE))};
        sums[n] = (struct day_sum){
            .workspace_id = db_get_id(rows, i, LEDGER_UNNUMBERED_WORKSPACE_ID),
            .day = calendar_days_of(&days, id_ms(&row)),
            .kind = db_int(rows, i, LEDGER_UNNUMBERED_KIND),
            .responder_id = db_get_id(rows, i, LEDGER_UNNUMBERED_RESPONDER_ID),
            .key_id = db_get_id(rows, i, LEDGER_UNNUMBERED_KEY_ID),
            .grant_id =
                db_get_id(rows, i, is_part ? LEDGER_UNNUMBERED_PART_GRANT_ID : LEDGER_UNNUMBERED_GRANT_ID),
            .n = begins_row(rows, i),
            .amount = db_int(rows, i, is_part ? LEDGER_UNNUMBERED_PART : LEDGER_UNNUMBERED_AMOUNT),
        };
        n++;
    }
    return ledger_add_sums(tx, sums, n);
}

/* The rows of one workspace stand together. */
static enum err number_rows(struct db_tx *tx, struct numbering *w)
{
    const struct db_rows *rows = w->rows;
    struct db_value *values = talloc_array(tx->ctx, struct db_value, rows->count);
    id *ids = talloc_array(tx->ctx, id, rows->count);
    enum err e = OK;
    for (size_t i = 0; e == OK && i < rows->count;) {
        id workspace = db_get_id(rows, i, LEDGER_UNNUMBERED_WORKSPACE_ID), of = workspace;
        struct db_value head[] = {db_number(w->number), db_id(&workspace)};
        size_t n = 0;
        for (; i < rows->count; i++) {
            of = db_get_id(rows, i, LEDGER_UNNUMBERED_WORKSPACE_ID);
            if (!id_equal(&of, &workspace))
                break;
            if (!begins_row(rows, i))
                continue;
            ids[n] = db_get_id(rows, i, LEDGER_UNNUMBERED_ID);
            values[n] = db_id(&ids[n]);
            n++;
        }
        e = db_run_each(tx->db, tx->ctx, SQL_LEDGER_NUMBER, head, 2, values, 1, n, NULL);
        w->n += n;
    }
    return e;
}

/* If it runs again after a COMMIT whose outcome is unknown, it finds the rows numbered. */
static enum err number_work(struct db_tx *tx, void *arg)
{
    struct numbering *w = arg;
    struct db_rows *numbers;
    w->n = 0;
    enum err e = db_run(tx->db, tx->ctx, SQL_LEDGER_NUMBERS_LOCK, NULL, 0, &numbers);
    if (e == OK && numbers->count != 1)
        e = ERR_INTERNAL;
    if (e != OK)
        return e;
    bool is_wanted = w->numbers_all || db_int(numbers, 0, LEDGER_NUMBERS_LOCK_IS_WANTED) != 0;
    struct db_value args[] = {db_number_or_null(LEDGER_NO_NUMBER, is_wanted), db_number(LEDGER_SUMS_ROWS)};
    w->number = db_int(numbers, 0, LEDGER_NUMBERS_LOCK_LAST);
    e = db_run(tx->db, tx->ctx, SQL_LEDGER_UNNUMBERED, args, 2, &w->rows);
    if (e != OK || w->rows->count == 0)
        return e;
    w->number++;
    e = number_rows(tx, w);
    if (e == OK)
        e = sum_rows(tx, w->rows);
    struct db_value last = db_number(w->number);
    failpoint("ledger_sums.before_commit");
    return e == OK ? db_run(tx->db, tx->ctx, SQL_LEDGER_NUMBERS_WRITE, &last, 1, NULL) : e;
}

enum err ledger_sums_step(struct db *db, uint64_t *n_r)
{
    struct numbering w = {0};
    enum err e = db_transaction(db, number_work, &w);
    *n_r = e == OK ? w.n : 0;
    return e;
}

enum err ledger_number_rows(struct db_tx *tx, int64_t *last_r, uint64_t *n_r)
{
    struct numbering w = {.numbers_all = true};
    enum err e = number_work(tx, &w);
    *last_r = w.number;
    *n_r = w.n;
    return e;
}
