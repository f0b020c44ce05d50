#include "account/day_sum.h"

#include <talloc.h>

#include "base/sort.h"

/* The id of a row of the sums that names none. */
static const char none[] = "00000000-0000-0000-0000-000000000000";

static int compare_numbers(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int compare(const void *a, const void *b)
{
    const struct day_sum *x = a, *y = b;
    int order = id_compare(&x->workspace_id, &y->workspace_id);
    order = order ? order : compare_numbers(x->day, y->day);
    order = order ? order : compare_numbers(x->kind, y->kind);
    order = order ? order : id_compare(&x->responder_id, &y->responder_id);
    order = order ? order : id_compare(&x->key_id, &y->key_id);
    return order ? order : id_compare(&x->grant_id, &y->grant_id);
}

static void add(void *kept, const void *equal)
{
    struct day_sum *to = kept;
    const struct day_sum *from = equal;
    to->n += from->n;
    to->amount += from->amount;
}

size_t day_sums_merge(struct day_sum *sums, size_t n)
{
    return sort_merge(sums, n, sizeof *sums, compare, add);
}

static struct db_value id_or_zeros(const id *i)
{
    return id_is_set(i) ? db_id(i) : db_text(none);
}

/* Both tables have the same columns, in the same order. */
_Static_assert((int)SUMS_ADD_SET_COUNT == (int)ROLL_UP_SUMS_ADD_SET_COUNT &&
                   (int)SUMS_ADD_SET_WORKSPACE_ID == (int)ROLL_UP_SUMS_ADD_SET_WORKSPACE_ID &&
                   (int)SUMS_ADD_SET_DAY == (int)ROLL_UP_SUMS_ADD_SET_DAY &&
                   (int)SUMS_ADD_SET_KIND == (int)ROLL_UP_SUMS_ADD_SET_KIND &&
                   (int)SUMS_ADD_SET_RESPONDER_ID == (int)ROLL_UP_SUMS_ADD_SET_RESPONDER_ID &&
                   (int)SUMS_ADD_SET_KEY_ID == (int)ROLL_UP_SUMS_ADD_SET_KEY_ID &&
                   (int)SUMS_ADD_SET_GRANT_ID == (int)ROLL_UP_SUMS_ADD_SET_GRANT_ID &&
                   (int)SUMS_ADD_SET_N == (int)ROLL_UP_SUMS_ADD_SET_N &&
                   (int)SUMS_ADD_SET_AMOUNT == (int)ROLL_UP_SUMS_ADD_SET_AMOUNT,
               "day_sums_add writes both");

enum err day_sums_add(struct db_tx *tx, enum sql_id query, const struct day_sum *sums, size_t n)
{
    enum { COLUMNS = SUMS_ADD_SET_COUNT };
    struct db_value *values = talloc_array(tx->ctx, struct db_value, n * COLUMNS + 1);
    for (size_t i = 0; i < n; i++) {
        const struct day_sum *s = &sums[i];
        struct db_value *v = &values[COLUMNS * i];
        v[SUMS_ADD_SET_WORKSPACE_ID] = db_id(&s->workspace_id);
        v[SUMS_ADD_SET_DAY] = db_number(s->day);
        v[SUMS_ADD_SET_KIND] = db_number(s->kind);
        v[SUMS_ADD_SET_RESPONDER_ID] = id_or_zeros(&s->responder_id);
        v[SUMS_ADD_SET_KEY_ID] = id_or_zeros(&s->key_id);
        v[SUMS_ADD_SET_GRANT_ID] = id_or_zeros(&s->grant_id);
        v[SUMS_ADD_SET_N] = db_number(s->n);
        v[SUMS_ADD_SET_AMOUNT] = db_number(s->amount);
    }
    return db_run_each(tx->db, tx->ctx, query, NULL, 0, values, COLUMNS, n, NULL);
}
