#include "run/charge.h"

#include <string.h>
#include <talloc.h>

#include "base/log.h"

struct charge_use charge_count(const struct unit_price units[PRICE_UNITS], int64_t input_tokens,
                               int64_t output_tokens, int64_t cached_tokens, int64_t time_ms, int64_t bytes)
{
    int64_t cached = units[PRICE_CACHED].max == 0   ? 0
                     : cached_tokens < input_tokens ? cached_tokens
                                                    : input_tokens;
    struct charge_use use = {.amounts = {[PRICE_INPUT] = input_tokens - cached,
                                         [PRICE_OUTPUT] = output_tokens,
                                         [PRICE_CACHED] = cached,
                                         [PRICE_TIME] = time_ms,
                                         [PRICE_BYTES] = bytes}};
    return use;
}

/* Never more than price_held of the same units: each unit is cut at its maximum. */
int64_t charge_price(const struct unit_price units[PRICE_UNITS], const struct charge_use *use)
{
    int64_t price = 0;
    for (int u = 0; u < PRICE_UNITS; u++) {
        if (__builtin_add_overflow(price, price_of_unit(&units[u], (enum price_unit)u, use->amounts[u]),
                                   &price))
            return INT64_MAX;
    }
    return price;
}

static struct charge_end *end_of(struct charge_end *ends, size_t n, const id *run)
{
    for (size_t i = 0; i < n; i++) {
        if (id_equal(&ends[i].run, run))
            return &ends[i];
    }
    return NULL;
}

static void settle_row(const struct db_rows *rows, size_t r, struct charge_end *end, struct db_value *v)
{
    struct unit_price units[PRICE_UNITS];
    for (size_t u = 0; u < PRICE_UNITS; u++)
        units[u] = (struct unit_price){db_int(rows, r, CHARGE_READ_INPUT_PRICE + 2 * u),
                                       db_int(rows, r, CHARGE_READ_INPUT_MAX + 2 * u)};
    int64_t time_ms =
        db_int(rows, r, CHARGE_READ_TIME_USED) + (end->lost ? 0 : db_int(rows, r, CHARGE_READ_RUNNING_MS));
    struct charge_use use =
        charge_count(units, db_int(rows, r, CHARGE_READ_INPUT_TOKENS),
                     db_int(rows, r, CHARGE_READ_OUTPUT_TOKENS), db_int(rows, r, CHARGE_READ_CACHED_TOKENS),
                     time_ms, db_int(rows, r, CHARGE_READ_ARTIFACT_BYTES) + end->output_bytes);
    int64_t held = db_int(rows, r, CHARGE_READ_HELD), price = charge_price(units, &use);
    end->released = price < held ? held - price : 0;
    v[CHARGE_SETTLE_SET_EXECUTION_ID] = db_id(&end->run);
    v[CHARGE_SETTLE_SET_PRICE_LIST_ID] = db_id(&end->run);
    v[CHARGE_SETTLE_SET_INPUT_USED] = db_number(use.amounts[PRICE_INPUT]);
    v[CHARGE_SETTLE_SET_OUTPUT_USED] = db_number(use.amounts[PRICE_OUTPUT]);
    v[CHARGE_SETTLE_SET_CACHED_USED] = db_number(use.amounts[PRICE_CACHED]);
    v[CHARGE_SETTLE_SET_TIME_USED] = db_number(use.amounts[PRICE_TIME]);
    v[CHARGE_SETTLE_SET_BYTES_USED] = db_number(use.amounts[PRICE_BYTES]);
}

enum err charges_settle(struct db_tx *tx, struct charge_end *ends, size_t n)
{
    struct db_value *runs = talloc_array(tx->ctx, struct db_value, n + 1);
    struct db_value *values = talloc_array(tx->ctx, struct db_value, n * CHARGE_SETTLE_SET_COUNT + 1);
    struct db_rows *rows;
    size_t settled = 0;
    for (size_t i = 0; i < n; i++)
        runs[i] = db_id(&ends[i].run);
    enum err e = db_run_each(tx->db, tx->ctx, SQL_CHARGE_READ, NULL, 0, runs, 1, n, &rows);
    for (size_t r = 0; e == OK && r < rows->count; r++) {
        id run = db_get_id(rows, r, CHARGE_READ_EXECUTION_ID);
        struct charge_end *end = end_of(ends, n, &run);
        if (end)
            settle_row(rows, r, end, &values[CHARGE_SETTLE_SET_COUNT * settled++]);
    }
    if (e == OK && settled != n)
        log_error("credits.charge_missing", "runs=%zu charges=%zu", n, settled);
    return e == OK ? db_run_each(tx->db, tx->ctx, SQL_CHARGE_SETTLE, NULL, 0, values, CHARGE_SETTLE_SET_COUNT,
                                 settled, NULL)
                   : e;
}

enum err charges_set_clock(struct db_tx *tx, enum charge_clock clock, const id *runs, size_t n)
{
    static const enum sql_id queries[CHARGE_CLOCKS] = {SQL_CHARGE_BEGIN, SQL_CHARGE_PAUSE, SQL_CHARGE_LOSE};
    struct db_value *values = talloc_array(tx->ctx, struct db_value, n + 1);
    for (size_t i = 0; i < n; i++)
        values[i] = db_id(&runs[i]);
    return db_run_each(tx->db, tx->ctx, queries[clock], NULL, 0, values, 1, n, NULL);
}
