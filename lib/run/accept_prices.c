/* The price lists of a batch, and the prices that its runs are stored with. */
#include <talloc.h>

#include "run/accept_private.h"
#include "run/price.h"

enum err accept_read_prices(struct db_tx *tx, struct accept_batch *b)
{
    struct price_subject subjects[ACCEPT_BATCH_MAX];
    const struct price_list *lists[ACCEPT_BATCH_MAX];
    struct accept_entry *priced[ACCEPT_BATCH_MAX];
    size_t n = 0;
    enum err e = OK;
    for (size_t i = 0; e == OK && i < b->n; i++) {
        struct accept_entry *entry = &b->entries[i];
        if (!entry_is_undecided(entry) || !(entry->account->prices & ACCOUNT_HAS_PRICES))
            continue;
        subjects[n] = (struct price_subject){.workspace_id = entry->req->workspace_id,
                                             .responder_id = entry->req->responder_id};
        priced[n] = entry;
        if (entry->account->prices & ACCOUNT_HAS_MODEL_PRICES)
            e = run_model_of(tx->ctx, entry->req, &subjects[n].model);
        n++;
    }
    if (e != OK || n == 0)
        return e;
    e = price_lists_in_force(tx->db, tx->ctx, subjects, n, lists);
    for (size_t i = 0; e == OK && i < n; i++)
        priced[i]->prices = lists[i];
    return e;
}

enum err accept_write_charges(struct db_tx *tx, struct accept_batch *b)
{
    struct db_value values[ACCEPT_BATCH_MAX * CHARGE_INSERT_SET_COUNT];
    size_t rows = 0;
    for (size_t i = 0; i < b->n; i++) {
        const struct accept_entry *entry = &b->entries[i];
        if (!entry_is_new(entry) || !entry->prices)
            continue;
        int64_t held = price_held(entry->prices->units);
        struct db_value *v = &values[CHARGE_INSERT_SET_COUNT * rows++];
        v[CHARGE_INSERT_SET_EXECUTION_ID] = db_id(&entry->req->execution_id);
        v[CHARGE_INSERT_SET_PRICE_LIST_ID] = db_id(&entry->prices->id);
        v[CHARGE_INSERT_SET_FIXED] = db_number(entry->cost - held);
        v[CHARGE_INSERT_SET_HELD] = db_number(held);
        price_fill_units(&v[CHARGE_INSERT_SET_INPUT_PRICE], entry->prices->units);
    }
    return db_run_each(tx->db, tx->ctx, SQL_CHARGE_INSERT, NULL, 0, values, CHARGE_INSERT_SET_COUNT, rows,
                       NULL);
}
