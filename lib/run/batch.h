/* A batch: many runs of one workflow by one request with an Idempotency-Key.
 *
 * The batch's row and its key commit first (batch_begin). The items are accepted by accept_batch in
 * transactions of at most ACCEPT_BATCH_MAX, with ids derived from the batch's id and the item's index. A
 * repetition of the request, also beside the first one, finds the runs by these ids. batch_finish stores the
 * response; from then on no item is accepted any more. All of it happens under the account's lock. */
#pragma once

#include "account/idempotency.h"
#include "base/ids.h"
#include "mariadb/db.h"

enum {
    /* Items of a batch, at most ID_DERIVED_MAX. */
    RUN_BATCH_ITEMS_MAX = 10000,
};

struct run_batch {
    /* The caller's proposal; that of the first request if the key is known. */
    id batch_id;
    id workspace_id, responder_id;
    size_t items;
    struct idempotency_key key;
};

struct run_batch_state {
    enum {
        BATCH_NEW = 1,
        /* An earlier request has begun it. */
        BATCH_OPEN,
        /* `results` is the response. */
        BATCH_FINISHED,
        /* The key is known with another request. */
        BATCH_KEY_REUSED,
    } kind;
    struct span results;
};

/* Stores the batch and its key, or finds them by the key. Results are of ctx. */
enum err batch_begin(struct db *db, void *ctx, struct run_batch *batch,
                     struct run_batch_state *state_r) WARN_UNUSED;
/* Reads the ids (BATCH_RUNS_ID) of the items that have a run, from the item with the id `first` to the one
 * with the id `last`. Rows are of ctx. */
enum err batch_read_runs(struct db *db, void *ctx, const id *first, const id *last,
                         struct db_rows **rows_r) WARN_UNUSED;
/* Marks in found[] which of `n` items from `first` on have a run. Not flushed: batch_finish flushes. */
enum err batch_find(struct db *db, const id *batch, size_t first, size_t n, bool *found) WARN_UNUSED;
/* Stores the results. `accepted` items have a run by now; ERR_CONFLICT: more have one, because a parallel
 * request accepted items that this one has rejected. If another request has finished the batch, *results is
 * replaced by what it stored (of ctx). */
enum err batch_finish(struct db *db, void *ctx, const struct run_batch *batch, size_t accepted,
                      struct span *results) WARN_UNUSED;
