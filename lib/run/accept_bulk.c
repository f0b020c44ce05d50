/* Retries of bulk jobs in the accepting transaction: the job's row is locked and the items are read before
 * the batch is decided, and written after it. Whoever else tries the same item finds it decided. */
#include "run/accept_private.h"
#include "run/bulk_item.h"

static bool is_item(const struct accept_entry *entry)
{
    return id_is_set(&entry->req->bulk_job_id);
}

static bool lists(const struct db_rows *rows, const id *execution)
{
    for (size_t r = 0; r < rows->count; r++) {
        id found = db_get_id(rows, r, BULK_ITEM_FIND_PENDING_EXECUTION_ID);
        if (id_equal(&found, execution))
            return true;
    }
    return false;
}

enum err accept_read_bulk_items(struct db_tx *tx, struct accept_batch *b)
{
    struct db_value items[ACCEPT_BATCH_MAX], job = db_null();
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        if (!entry_is_undecided(&b->entries[i]) || !is_item(&b->entries[i]))
            continue;
        job = db_id(&b->entries[i].req->bulk_job_id);
        items[n++] = db_id(&b->entries[i].req->retry_of);
    }
    if (n == 0)
        return OK;
    struct db_rows *jobs, *rows = NULL;
    enum err e = db_run(tx->db, tx->ctx, SQL_BULK_JOB_LOCK_RUNNING, &job, 1, &jobs);
    if (e == OK)
        e = db_run_each(tx->db, tx->ctx, SQL_BULK_ITEM_FIND_PENDING, &job, 1, items, 1, n, &rows);
    for (size_t i = 0; e == OK && i < b->n; i++) {
        struct accept_entry *entry = &b->entries[i];
        if (entry_is_undecided(entry) && is_item(entry) &&
            (jobs->count == 0 || !lists(rows, &entry->req->retry_of)))
            entry->answer->verdict = RUN_BULK_STALE;
    }
    return e;
}

enum err accept_write_bulk_items(struct db_tx *tx, struct accept_batch *b)
{
    enum err e = OK;
    for (size_t i = 0; e == OK && i < b->n; i++) {
        const struct run_request *req = b->entries[i].req;
        if (!entry_is_new(&b->entries[i]) || !is_item(&b->entries[i]))
            continue;
        const struct bulk_decision done = {req->retry_of, BULK_DONE, BULK_NO_REASON, req->execution_id};
        e = bulk_items_decide(tx, &req->bulk_job_id, &done, 1);
    }
    return e;
}
