#include "run/batch.h"

#include <string.h>
#include <talloc.h>

#include "run/accept_types.h"

_Static_assert((int)RUN_BATCH_ITEMS_MAX <= (int)ID_DERIVED_MAX, "each item has an id of its own");

/* The response that is stored with the key of a batch names the batch. */
#define KEY_BODY "{\"batch_id\":\""

struct batch_work {
    void *ctx;
    struct run_batch *batch;
    struct run_batch_state *state;
    size_t accepted;
    struct span *results;
};

static enum err lock_workspace(struct db_tx *tx, const struct run_batch *batch)
{
    struct account *account;
    size_t n;
    enum err e = account_lock(tx, tx->ctx, &batch->workspace_id, 1, &account, &n);
    return e == OK && n == 0 ? ERR_INTERNAL : e;
}

/* Stored results, of ctx; absent: the batch is open. */
static enum err read_results(struct db_tx *tx, void *ctx, const struct run_batch *batch,
                             struct span *results_r)
{
    struct db_value args[] = {db_id(&batch->batch_id), db_id(&batch->workspace_id)};
    struct db_rows *rows;
    *results_r = (struct span){0};
    enum err e = db_run(tx->db, tx->ctx, SQL_BATCH_READ, args, 2, &rows);
    if (e == OK && rows->count == 0)
        return ERR_RETRY; /* its 24 hours have just ended */
    if (e != OK || db_cell(rows, 0, BATCH_READ_RESULTS)->is_null)
        return e;
    const struct db_cell *cell = db_cell(rows, 0, BATCH_READ_RESULTS);
    *results_r = (struct span){talloc_memdup(ctx, cell->text, cell->size + 1), cell->size};
    return OK;
}

static enum err insert_batch(struct db_tx *tx, const struct run_batch *batch)
{
    id first = id_derive(&batch->batch_id, 0), last = id_derive(&batch->batch_id, (unsigned)batch->items - 1);
    const struct db_value values[BATCH_INSERT_SET_COUNT] = {
        [BATCH_INSERT_SET_ID] = db_id(&batch->batch_id),
        [BATCH_INSERT_SET_WORKSPACE_ID] = db_id(&batch->workspace_id),
        [BATCH_INSERT_SET_RESPONDER_ID] = db_id(&batch->responder_id),
        [BATCH_INSERT_SET_ITEMS] = db_number((int64_t)batch->items),
        [BATCH_INSERT_SET_FIRST_ITEM_ID] = db_id(&first),
        [BATCH_INSERT_SET_LAST_ITEM_ID] = db_id(&last),
    };
    char *body = talloc_asprintf(tx->ctx, KEY_BODY "%s\"}", batch->batch_id.text);
    const struct idempotency_entry entry = {.key = batch->key, .response = {200, span_text(body)}};
    enum err e =
        db_run_each(tx->db, tx->ctx, SQL_BATCH_INSERT, NULL, 0, values, BATCH_INSERT_SET_COUNT, 1, NULL);
    return e == OK ? idempotency_store(tx, &entry, 1) : e;
}

/* The key is known: reads the batch that it began. */
static enum err find_batch(struct db_tx *tx, struct batch_work *work, const struct idempotency_match *match)
{
    struct span body = match->response.body;
    const size_t at = sizeof KEY_BODY - 1;
    work->state->kind = BATCH_KEY_REUSED;
    if (match->state == IDEMPOTENCY_REUSED)
        return OK;
    if (body.size < at + ID_LENGTH || !id_parse(body.at + at, ID_LENGTH, &work->batch->batch_id))
        return ERR_INTERNAL;
    enum err e = read_results(tx, work->ctx, work->batch, &work->state->results);
    work->state->kind = work->state->results.at ? BATCH_FINISHED : BATCH_OPEN;
    return e;
}

static enum err begin_work(struct db_tx *tx, void *arg)
{
    struct batch_work *work = arg;
    struct idempotency_match match;
    *work->state = (struct run_batch_state){.kind = BATCH_NEW};
    enum err e = lock_workspace(tx, work->batch);
    if (e == OK)
        e = idempotency_find(tx, tx->ctx, &work->batch->key, 1, &match);
    if (e != OK)
        return e;
    if (match.state == IDEMPOTENCY_FREE)
        return insert_batch(tx, work->batch);
    return find_batch(tx, work, &match);
}

enum err batch_begin(struct db *db, void *ctx, struct run_batch *batch, struct run_batch_state *state_r)
{
    struct batch_work work = {.ctx = ctx, .batch = batch, .state = state_r};
    return db_transaction(db, begin_work, &work);
}

enum err batch_read_runs(struct db *db, void *ctx, const id *first, const id *last, struct db_rows **rows_r)
{
    struct db_value args[] = {db_id(first), db_id(last), db_text(first->text + ID_LENGTH - ID_DERIVED_TAIL)};
    return db_run(db, ctx, SQL_BATCH_RUNS, args, 3, rows_r);
}

enum err batch_find(struct db *db, const id *batch, size_t first, size_t n, bool *found)
{
    void *scratch = talloc_new(NULL);
    id *ids = talloc_array(scratch, id, n);
    struct db_rows *rows;
    ids[0] = id_derive(batch, (unsigned)first);
    for (size_t i = 0; i < n; i++) {
        ids[i] = id_sibling(&ids[0], (unsigned)(first + i));
        found[i] = false;
    }
    enum err e = batch_read_runs(db, scratch, &ids[0], &ids[n - 1], &rows);
    for (size_t r = 0; e == OK && r < rows->count; r++) {
        id existing = db_get_id(rows, r, BATCH_RUNS_ID);
        for (size_t i = 0; i < n; i++)
            found[i] = found[i] || id_equal(&ids[i], &existing);
    }
    talloc_free(scratch);
    return e;
}

static enum err finish_work(struct db_tx *tx, void *arg)
{
    struct batch_work *work = arg;
    const struct run_batch *batch = work->batch;
    struct span stored = {0};
    struct db_rows *rows;
    id first = id_derive(&batch->batch_id, 0), last = id_derive(&batch->batch_id, (unsigned)batch->items - 1);
    struct db_value range[] = {db_id(&first), db_id(&last),
                               db_text(first.text + ID_LENGTH - ID_DERIVED_TAIL)};
    enum err e = lock_workspace(tx, batch);
    if (e == OK)
        e = read_results(tx, work->ctx, batch, &stored);
    if (e == OK && stored.at) {
        *work->results = stored;
        return OK;
    }
    if (e == OK)
        e = db_run(tx->db, tx->ctx, SQL_BATCH_COUNT, range, 3, &rows);
    if (e == OK && db_int(rows, 0, BATCH_COUNT_RUNS) != (int64_t)work->accepted)
        e = ERR_CONFLICT;
    if (e != OK)
        return e;
    struct db_value values[] = {db_number((int64_t)work->accepted),
                                db_bytes(work->results->at, work->results->size), db_id(&batch->batch_id)};
    return db_run(tx->db, tx->ctx, SQL_BATCH_FINISH, values, 3, NULL);
}

enum err batch_finish(struct db *db, void *ctx, const struct run_batch *batch, size_t accepted,
                      struct span *results)
{
    struct run_batch mine = *batch;
    struct batch_work work = {.ctx = ctx, .batch = &mine, .accepted = accepted, .results = results};
    return db_transaction(db, finish_work, &work);
}
