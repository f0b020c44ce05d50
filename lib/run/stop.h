/* Stopping: one transaction over the account and the tree below a run: every non-terminal run becomes
 * `stopped`, with its terminal event and, where nothing was started, its refund. Executors learn it from
 * Redis or their next beat. */
#pragma once

#include "run/accept.h"
#include "run/run_tx.h"

enum stop_verdict {
    STOP_DONE = 1,
    STOP_NOT_FOUND,
    STOP_TERMINAL,
    STOP_REPLAYED,
    STOP_KEY_REUSED,
    STOP_UNAVAILABLE,
    STOP_UNCERTAIN
};

struct stop_request {
    id workspace_id, execution_id;
    enum responder_kind kind;    /* 0: any; else a run of another kind is STOP_NOT_FOUND */
    struct span idempotency_key; /* absent: none */
    uint8_t fingerprint[32];
    int status; /* of the answer to store */
    struct span body;
    int64_t at_ms;     /* the runs' end; 0: now */
    const char *error; /* stored as the runs' error, e.g. "stopped by the caller" */
};

enum stop_verdict stop_run(struct db *db, struct redis *redis, void *ctx, const struct stop_request *request,
                           struct run_answer *answer_r);
