#include "billing/ledger_sums.h"

#include <string.h>
#include <talloc.h>

#include "base/failpoint.h"
#include "billing/calendar.h"
#include "billing/day_sum.h"

/* What is left to add: rows, and their sums. */
struct numbering {
    struct db_rows *rows;
    struct day_sum *sums;
    size_t sums_n;
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

static void sum_rows(void *ctx, struct numbering *w)
{
    const struct db_rows *rows = w->rows;
    struct billing_days days = {0};
    w->sums = talloc_zero_array(ctx, struct day_sum, rows->count + 1);
    for (size_t i = 0; i < rows->count; i++) {
        struct day_sum *s = &w->sums[i];
        id row = db_get_id(rows, i, LEDGER_UNNUMBERED_ID);
        bool is_part = !db_cell(rows, i, LEDGER_UNNUMBERED_PART_GRANT_ID)->is_null;
        if (!has_zone_of_last(rows, i))
            days =
                (struct billing_days){.zone = billing_zone(ctx, db_str(rows, i, LEDGER_UNNUMBERED_TIMEZONE))};
        *s = (struct day_sum){
            .workspace_id = db_get_id(rows, i, LEDGER_UNNUMBERED_WORKSPACE_ID),
            .day = billing_days_of(&days, id_ms(&row)),
            .kind = db_int(rows, i, LEDGER_UNNUMBERED_KIND),
            .responder_id = db_get_id(rows, i, LEDGER_UNNUMBERED_RESPONDER_ID),
            .key_id = db_get_id(rows, i, LEDGER_UNNUMBERED_KEY_ID),
            .grant_id =
                db_get_id(rows, i, is_part ? LEDGER_UNNUMBERED_PART_GRANT_ID : LEDGER_UNNUMBERED_GRANT_ID),
            .n = begins_row(rows, i),
            .amount = db_int(rows, i, is_part ? LEDGER_UNNUMBERED_PART : LEDGER_UNNUMBERED_AMOUNT),
        };
    }
    w->sums_n = day_sums_merge(w->sums, rows->count);
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

/* Turns the sums of days into those of months. */
static enum err add_months(struct db_tx *tx, struct numbering *w)
{
    struct db_value *values = talloc_array(tx->ctx, struct db_value, w->sums_n * MONTHS_ADD_SET_COUNT + 1);
    for (size_t i = 0; i < w->sums_n; i++) {
        struct day_sum *s = &w->sums[i];
        s->day = billing_day_month(s->day);
        s->responder_id = s->key_id = s->grant_id = (id){{0}};
    }
    w->sums_n = day_sums_merge(w->sums, w->sums_n);
    for (size_t i = 0; i < w->sums_n; i++) {
        const struct day_sum *s = &w->sums[i];
        struct db_value *v = &values[MONTHS_ADD_SET_COUNT * i];
        v[MONTHS_ADD_SET_WORKSPACE_ID] = db_id(&s->workspace_id);
        v[MONTHS_ADD_SET_MONTH] = db_number(s->day);
        v[MONTHS_ADD_SET_KIND] = db_number(s->kind);
        v[MONTHS_ADD_SET_N] = db_number(s->n);
        v[MONTHS_ADD_SET_AMOUNT] = db_number(s->amount);
    }
    return db_run_each(tx->db, tx->ctx, SQL_MONTHS_ADD, NULL, 0, values, MONTHS_ADD_SET_COUNT, w->sums_n,
                       NULL);
}

/* If it runs again after a COMMIT whose outcome is unknown, it finds the rows numbered. */
static enum err number_work(struct db_tx *tx, void *arg)
{
    struct numbering *w = arg;
    struct db_value limit = db_number(LEDGER_SUMS_ROWS);
    struct db_rows *numbers;
    *w = (struct numbering){0};
    enum err e = db_run(tx->db, tx->ctx, SQL_LEDGER_NUMBERS_LOCK, NULL, 0, &numbers);
    if (e == OK && numbers->count != 1)
        e = ERR_INTERNAL;
    if (e == OK)
        e = db_run(tx->db, tx->ctx, SQL_LEDGER_UNNUMBERED, &limit, 1, &w->rows);
    if (e != OK || w->rows->count == 0)
        return e;
    w->number = db_int(numbers, 0, LEDGER_NUMBERS_LOCK_LAST) + 1;
    sum_rows(tx->ctx, w);
    e = number_rows(tx, w);
    if (e == OK)
        e = day_sums_add(tx, SQL_SUMS_ADD, w->sums, w->sums_n);
    if (e == OK)
        e = add_months(tx, w);
    struct db_value last = db_number(w->number);
    failpoint("ledger_sums.before_commit");
    return e == OK ? db_run(tx->db, tx->ctx, SQL_LEDGER_NUMBERS_WRITE, &last, 1, NULL) : e;
}

enum err ledger_sums_step(struct db *db, uint64_t *n_r)
{
    struct numbering w;
    enum err e = db_transaction(db, number_work, &w);
    *n_r = e == OK ? w.n : 0;
    return e;
}
