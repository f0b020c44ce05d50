/* A batch of runs (lib/run/batch.h) as its callers see it: how many runs it has, by state. The runs are found
 * by their ids, which are derived from the batch's. A batch without an Idempotency-Key, or older than a day,
 * has no row of its own, and is known as long as one of its runs is. */
#pragma once

#include "base/ids.h"
#include "mariadb/db.h"
#include "run/states.h"

struct batch_summary {
    id batch_id, responder_id;
    /* of the request; -1: not known, because the batch has no row */
    int64_t items;
    /* A request with its Idempotency-Key is accepting items, or was cut off and can be repeated. */
    bool is_open;
    /* by enum run_state */
    int64_t runs[STATE_STOPPED + 1];
};

/* ERR_NOT_FOUND: the workspace has neither the batch nor a run of it. */
enum err batch_summary_read(struct db *db, void *ctx, const id *workspace, const id *batch,
                            struct batch_summary *summary_r) WARN_UNUSED;
