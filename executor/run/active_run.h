/* A run in memory: the part of it that is common to all kinds, seen by the loop thread.
 *
 * Everything that a run does is collected in its pending commit (run_pending_commit). run_flush submits that
 * to the database thread. While one commit is in flight the next one collects, so that a run has at most one
 * commit in flight. A side effect that must not start before it is recorded remembers its commit and starts
 * in the kind's on_written.
 *
 * A run whose kind allows it (begins_in_claim) begins inside the transaction that claims it, and its first
 * commit is written with the claim. Until the claim is settled nothing of the run is submitted and no side
 * effect starts. See docs/how-a-claim-works.md.
 *
 * A run that does nothing but wait, and will for longer than executor.park_after_ms, is parked: its commit
 * says what wakes it, and it leaves memory (docs/correctness.md, "Parked runs").
 *
 * A run is freed when its last commit is written or has parked it, when the fence rejected a commit (another
 * executor has the run, or it was stopped), or by run_cancel. Loop thread only. */
#pragma once

#include "executor/context/executor.h"
#include "executor/db_thread/claimed_run.h"
#include "executor/run/run_trace.h"
#include "executor/run/slots.h"

struct run_job;

/* What a run waits for that has nothing else to do. */
struct run_wait {
    enum wait_reason reason;
    /* CLOCK_BOOTTIME; INT64_MAX: a child only */
    int64_t wake_ms;
    /* of the context that was passed */
    id *children;
    size_t children_n;
};

/* The behaviour of one kind of run: workflow, command (skill), model. Callbacks marked "optional" may be
 * NULL. */
struct run_kind {
    /* `begin` has no effect outside this process before the run's commit is written. */
    bool begins_in_claim;
    /* Sets run->state to a talloc child of the run, with copies of what the kind needs from the claim. Called
     * once, before all others. */
    void (*init)(struct active_run *run, const struct claimed_run *claimed);
    /* Why the run cannot begin, as a sentence; NULL: it can. */
    const char *(*unusable)(const struct active_run *run);
    void (*begin)(struct active_run *run);
    /* Optional: the run was granted a slot that it had waited for, or its resume timer has fired. */
    void (*resume)(struct active_run *run);
    /* Optional: `c` is written. */
    void (*on_written)(struct active_run *run, const struct commit *c);
    /* Optional: the run fails in the middle of a step; adds the last rows to the pending commit. */
    void (*abort_step)(struct active_run *run, const char *error);
    /* Ends everything that the run has started in this process. May be called twice. */
    void (*cancel)(struct active_run *run);
    /* A side effect is in flight that a release would cut off: at shutdown the run gets the grace time. */
    bool (*has_inflight_effect)(const struct active_run *run);
    /* Optional: the run only waits, and needs no slot. NULL: it never yields. */
    bool (*can_yield)(const struct active_run *run);
    /* Optional: bytes that the run takes while it waits, by estimate. */
    size_t (*memory)(const struct active_run *run);
    /* Optional: the run does nothing but wait, or will once its pending commit is written. NULL: it is never
     * parked. */
    bool (*find_wait)(const struct active_run *run, void *ctx, struct run_wait *wait_r);
    /* With find_wait: the run is to be parked with its pending commit; adds what it needs to be woken. */
    void (*prepare_park)(struct active_run *run);
    /* Optional: memory is scarce; the run takes as little as it can until it has a slot again. */
    void (*save_memory)(struct active_run *run);
    /* Optional: the run is freed after this call, and run->state is the kind's to free. */
    void (*leave)(struct active_run *run);
};
/* The kinds that an executor knows; set by executor/process. */
struct run_kinds {
    const struct run_kind *workflow, *skill, *model;
};

struct active_run {
    struct executor *exec;
    const struct run_kind *kind;
    /* the kind's own: struct workflow_run, skill_run or model_run */
    void *state;

    /* as claimed */
    struct run row;
    id principal_id;
    struct run_trace trace;
    /* an earlier attempt had started a side effect */
    bool earlier_side_effects;
    /* CLOCK_BOOTTIME, and the wall time then */
    int64_t began_ms, began_wall_ms;
    /* it was parked before this attempt */
    bool woken;

    struct slot slot;
    /* has the state; NULL: none is out (run_job.h) */
    struct run_job *job;

    /* commits */
    struct commit *pending, *in_flight;
    /* NULL: the claim is written */
    struct claimed_run *claim;
    /* the pending commit, or the one in flight, is the last */
    bool ending;
    /* MariaDB rejected the last commit; the commit that records this failure is the last attempt */
    bool end_refused;
    /* The commit in flight parks the run. Until then it does nothing. */
    bool parking;
    /* It has waited for a child for executor.park_after_ms. */
    bool park_due;
    /* children may be running that nobody waits for any more: the end of the run stops them */
    bool may_have_children;
    /* log and progress events collected so far: run_events.c limits them */
    int events_n;
    /* beyond that limit */
    int64_t events_omitted, log_bytes_omitted;
    /* events of failed tries collected so far: action.c limits them */
    int retry_events_n;
    /* for the log: the step that failed the run, and the number of its last try; NULL: no step did */
    const char *failed_step;
    int failed_try;

    /* What is to be taken from the deadlines of its ancestors with the next commit: the run was woken before
     * the time for which it was parked. */
    int64_t give_back_ms;
    /* Reads the deadline in the row; NULL: none is under way. */
    struct job *deadline_job;

    struct timer deadline, resume_timer, park_timer;
};

/* Inside the transaction that claims the run: begins it, if its kind allows that. */
void run_begin_in_claim(struct executor *exec, struct claimed_run *c);
/* The claim is settled. OK: it is written, and the run begins unless it has begun already. An error, or
 * c->fenced: the run is dropped. The memory of `c` may be freed afterwards. */
void run_settle_claim(struct executor *exec, struct claimed_run *c, enum err e);

/* The pending commit; created if the run has none. */
struct commit *run_pending_commit(struct active_run *run);
/* Submits the pending commit, unless one is in flight or the claim is not settled; then it is submitted
 * later. */
void run_flush(struct active_run *run);
/* Records in the pending commit that this run has started nothing, which entitles a failed run to a refund.
 * Without effect where an earlier attempt had started something. */
void run_note_nothing_started(struct active_run *run);

/* The ends. Whatever the run has started is cancelled now; the run is freed when its last commit is written.
 * `output` (JSON) and `error` (a sentence) are copied. */
void run_succeed(struct active_run *run, const char *output);
void run_fail(struct active_run *run, enum failure_reason reason, const char *error);
/* Returns the run to the queue. */
void run_release(struct active_run *run);
/* Frees the run at once and writes nothing. `why` is for the log. */
void run_cancel(struct active_run *run, const char *why);

/* Runs have given back so many bytes, or are about to: malloc keeps what lies below the last block that is in
 * use, so from time to time it is made to return memory to the kernel. */
void run_note_freed_memory(struct executor *exec, size_t bytes);
/* The run may have grown: counts its memory. */
void run_count_memory(struct active_run *run);
/* Yields the slot if the run only waits and has nothing to write. */
void run_yield_slot(struct active_run *run);

/* This process is about to learn whether its own commit of the run's end is written. It looks up then what
 * has become of the run, if anybody watches it, so that an announcement of its end can be ignored. */
bool run_ends_here(const struct executor *exec, const id *run);

/* For SIGTERM: releases the runs without a side effect in flight; with `all`, every run. */
void runs_release_idle(struct executor *exec, bool all);
void runs_cancel_all(struct executor *exec, const char *why);
