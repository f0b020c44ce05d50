/* A run that this process is claiming, with all that it needs to begin: made by the database thread in the
 * claim's transaction, and passed to the loop thread. docs/how-a-claim-works.md has the handshake. */
#pragma once

#include "base/trace.h"
#include "executor/cache/programs.h"
#include "executor/cache/skills.h"
#include "executor/db_thread/commit.h"
#include "executor/db_thread/sandbox_share.h"

/* A step that an earlier attempt has committed. */
struct stored_step {
    int step, item;
    enum step_status status;
    int tries, answers;
    int64_t due_ms, timeout_ms, started_ms;
    const char *result, *error;
    enum failure_reason reason;
    /* It is of the run that this one retries, and has to be copied. */
    bool adopted;
    /* if adopted */
    int64_t completed_ms;
};

/* A signal that was given to a wait of the run. */
struct given_signal {
    int seq, step, item;
    int64_t at_ms;
    /* JSON: data and sender */
    const char *name, *data, *sender;
};

struct active_run;

/* Belongs to the array of its batch. Once it has been offered to the loop, it is handed to the loop again
 * when the transaction is over, whatever became of the claim. */
struct claimed_run {
    /* The row as it is once the claim is written. */
    struct run run;
    id principal_id;
    /* JSON; NULL: the row has none. */
    const char *input, *tags, *metadata, *extra;
    size_t input_bytes;
    /* Always set; no tracestate: NULL. */
    struct trace_context trace;
    const char *trace_state;
    /* The context of its large input and of its stored steps; NULL: it has none. */
    void *texts;
    /* References, which go with the array. `program` is of a workflow's run, `skill` of a skill's run. NULL:
     * it does not exist or does not compile. */
    struct cached_program *program;
    struct cached_skill *skill;
    /* A reference, as these; NULL: the run starts no command. */
    struct sandbox_permit *sandbox;
    /* An earlier attempt had started a side effect. */
    bool earlier_side_effects;
    /* It was parked, and this claim wakes it. */
    bool woken;
    struct stored_step *steps;
    size_t steps_n;
    /* The run that it retries was purged: it cannot begin. */
    bool adoption_lost;
    /* By step and item. */
    struct given_signal *signals;
    size_t signals_n;
    int64_t claimed_ms; /* wall time */
    /* Bytes of memory with which it was admitted; 0: its struct active_run has them, or it was dropped. */
    size_t memory_bytes;
    struct memory_budget *memory;
    /* The workspace sets max_concurrent. */
    bool concurrency_limited;

    /* --- the loop's while the run is offered, the thread's afterwards --- */
    /* What the run did before its first side effect; NULL: nothing. Written in the claim's transaction unless
     * write_separately is set. */
    struct commit *first_commit;
    /* The loop may still set first_commit. */
    bool accepts_first_commit;

    /* --- the loop's --- */
    /* The run that began inside the claim's transaction; NULL: it did not, or it was dropped since. */
    struct active_run *active;
    /* It began, and was dropped before the claim was settled. */
    bool cancelled;

    /* --- the thread's --- */
    /* The claim's transaction does not write first_commit: the loop submits it. */
    bool write_separately;
    /* The row is no longer queued: nothing was written. */
    bool fenced;
};
