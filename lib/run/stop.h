/* Stopping a run. One transaction locks the account and the run's tree, moves every run that is not terminal
 * to `stopped`, adds the terminal events, and refunds the runs whose side effects were not started. If the
 * tree has more than RUN_TX_SLICE such runs, this transaction stops the run itself and marks it, and the
 * others follow in slices. Executors learn of it from Redis, or else with their next heartbeat. */
#pragma once

#include "account/idempotency.h"
#include "base/span.h"
#include "run/run_tx.h"

enum stop_verdict {
    STOP_DONE = 1,
    /* The workspace has no such run. */
    STOP_NOT_FOUND,
    /* The run has already ended. */
    STOP_TERMINAL,
    /* It is in none of `only_states`. */
    STOP_NOT_MATCHED,
    /* The key is known with this request, and replay_r is set. */
    STOP_REPLAYED,
    /* The key is known with another request. */
    STOP_KEY_REUSED,
    /* Nothing was done. */
    STOP_UNAVAILABLE,
    /* Nothing was done: the workspace is frozen (ERR_FROZEN). */
    STOP_FROZEN,
    /* The run may have been stopped; repeating the request finds out. */
    STOP_UNCERTAIN,
    /* Nothing was done, and repeating the request does not help: an error of Millrace, in the log. */
    STOP_FAILED
};

struct stop_request {
    id workspace_id, execution_id;
    /* A run of another kind is STOP_NOT_FOUND; 0: any kind. */
    enum responder_kind kind;
    /* Absent: none. */
    struct span idempotency_key;
    uint8_t fingerprint[IDEMPOTENCY_FINGERPRINT];
    /* What a repetition of this request gets. */
    struct stored_response first_response;
    /* When the runs end, wall time; 0: now. */
    int64_t at_ms;
    /* The bulk job whose item the run is (run/bulk_item.h); unset: none. The transaction writes the item as
     * done, and what is left of a large tree is stopped by the executors. */
    id bulk_job_id;
    /* Bits 1 << state in which the run may be; 0: any. */
    unsigned only_states;
    /* Stored as the runs' error, e.g. "stopped by the caller". */
    const char *error;
};

/* The error that a caller reports for a verdict: not found, unavailable, frozen, or uncertain. ERR_INTERNAL
 * for all other verdicts, which callers handle themselves. */
enum err stop_err(enum stop_verdict verdict);

/* `redis` may be NULL. The body of replay_r is on ctx. */
enum stop_verdict stop_run(struct db *db, struct redis *redis, void *ctx, const struct stop_request *request,
                           struct idempotency_match *replay_r);
