/* Signals to runs of workflows. A signal is stored under the lock of its run: if the run is parked and waits
 * for a signal of that name, the signal is given to the first such wait and the run is woken; otherwise it is
 * kept for the next wait of that name. docs/correctness.md, "Signals". */
#pragma once

#include "account/idempotency.h"
#include "mariadb/db.h"
#include "run/states.h"

enum {
    /* Of the data, as JSON. */
    SIGNAL_DATA_MAX = 64 * 1024,
    /* Signals that a run keeps until a wait consumes them, and their bytes together. */
    SIGNALS_MAX = 100,
    SIGNALS_BYTES_MAX = 1024 * 1024,
    /* Of a run in all, with those that were consumed: their rows stay. */
    SIGNALS_TOTAL_MAX = 20000,
};

enum signal_verdict {
    /* Given to a wait. */
    SIGNAL_DELIVERED = 1,
    /* Kept for the next wait of its name. */
    SIGNAL_KEPT,
    /* The key is known with this request, and replay_r is set; or with another one. */
    SIGNAL_REPLAYED,
    SIGNAL_KEY_REUSED,
    /* The workspace has no such run. */
    SIGNAL_NOT_FOUND,
    /* The run has ended. */
    SIGNAL_ENDED,
    /* The run keeps as many signals, or bytes, as it may. */
    SIGNAL_FULL,
    /* The run has had as many signals as it may. */
    SIGNAL_EXHAUSTED,
    /* The ticket is not open (any more). */
    SIGNAL_TICKET_OVER,
    /* Nothing was done. */
    SIGNAL_UNAVAILABLE,
    /* The signal may have been stored; repeating the request with its key finds out. */
    SIGNAL_UNCERTAIN,
};

struct signal_request {
    /* Chosen by the caller: the same in every attempt. */
    id signal_id;
    id workspace_id, execution_id;
    const char *name;
    /* JSON. `sender` says who sent it. */
    struct span data, sender;
    /* The hash of the ticket whose answer it is (run/signal_ticket.h); NULL: none. */
    const uint8_t *ticket;
    /* Absent: none. */
    struct span idempotency_key;
    uint8_t fingerprint[IDEMPOTENCY_FINGERPRINT];
    /* What a repetition gets, if the signal is delivered, and if it is kept. */
    struct stored_response delivered, kept;
};

/* The body of replay_r is on ctx. */
enum signal_verdict signal_send(struct db *db, void *ctx, const struct signal_request *request,
                                struct idempotency_match *replay_r);

/* The first wait of a run for signals of a name, if the run is parked for it. *step_r is -1 if there is none.
 * Nothing is locked. */
enum err signal_find_wait(struct db *db, void *ctx, const id *execution, const char *name,
                          int *step_r) WARN_UNUSED;
