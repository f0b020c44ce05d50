/* A commit: what one run writes at once, namely steps, events and perhaps its transition to another state.
 * The loop thread collects it; the database thread writes it under the fence, in one transaction with the
 * commits of other runs. */
#pragma once

#include "executor/db_thread/job.h"
#include "run/run_tx.h"
#include "store/artifact.h"

/* What writing a row costs besides its texts, in bytes. */
enum { COMMIT_ROW_BYTES = 256 };

struct collected_event {
    enum event_type type;
    int64_t at_ms;    /* wall time */
    const char *data; /* a JSON object, or NULL for {} */
};

/* The run is parked: it leaves memory, and MariaDB holds what wakes it. */
struct commit_park {
    enum wait_reason reason;
    /* wall time; INT64_MAX: only a child's end */
    int64_t wake_ms;
    /* children that it waits for; if one has ended, the run is not parked */
    const id *children;
    size_t children_n;
};

/* Levels of a tree above a run. */
enum { COMMIT_ANCESTORS_MAX = 16 };

/* A wait for a signal, of a run that is parked. */
struct signal_wait {
    int step, item;
    /* NULL: no message */
    const char *name, *message;
    /* wall time */
    int64_t due_ms;
};

struct child_job;

struct commit {
    /* First: a commit is a job, and the talloc context of its texts. */
    struct job job;
    id run, workspace;
    int attempt;
    /* A step was started: the run's charge is no longer refunded. */
    bool side_effects_started;
    bool has_move;
    /* The move also stops all descendants of the run. */
    bool stop_descendants;
    struct run_move move;
    /* NULL: the run stays in memory. */
    struct commit_park *park;
    struct collected_event *events;
    size_t events_n;
    struct run_step *steps;
    size_t steps_n;
    /* With `park`: the waits for signals. */
    struct signal_wait *signal_waits;
    size_t signal_waits_n;
    /* Signals that were consumed or rejected, by number, and the waits that have ended. */
    int *signals_done;
    size_t signals_done_n;
    struct signal_wait *waits_done;
    size_t waits_done_n;
    /* Added to the deadlines of the run's ancestors, besides what parking adds; 0: nothing. root_id is set if
     * the run has ancestors whose deadlines the commit changes. */
    int64_t ancestors_ms;
    id root_id;
    id ancestors[COMMIT_ANCESTORS_MAX];
    size_t ancestors_n;
    /* No side effect was started after all, nor by an earlier attempt: the move may refund. */
    bool nothing_started;
    /* Of a skill's run, with its artifacts; NULL: none to write. */
    struct usage *usage;
    struct artifact *artifacts;
    size_t artifacts_n;
    /* Children that the run starts with it: they are accepted in its transaction, or after it, and never
     * without it. The database thread takes them when the commit is written; until then they are freed with
     * the commit. */
    struct child_job **children;
    size_t children_n;
    /* What it costs to write: its texts and COMMIT_ROW_BYTES for each row. */
    size_t bytes;

    /* --- the thread's --- */
    /* The row is no longer ours: nothing was written. */
    bool fenced;
    /* Written, but the run was not parked, because a child has ended. */
    bool not_parked;
    /* An earlier execution of its transaction may have committed. */
    bool outcome_uncertain;
    /* Why the database cannot write it, for the log; NULL: it can. */
    const char *refusal;
    /* The number of its last event in that execution; 0: the commit has no event. */
    int seq_after;
    /* Of the run's row when the commit was written (wall time); 0: none, or it was not written. */
    int64_t deadline_ms;
};

/* An empty commit without `done`. */
struct commit *commit_new(const id *run, const id *workspace, int attempt);
/* `data` is copied. An error in it is the result of error_text. */
void commit_add_event(struct commit *c, enum event_type type, int64_t at_ms, const char *data);
/* Texts are copied; the error is cut (error_text.h). A second row for the same step and item replaces the
 * first. */
void commit_put_step(struct commit *c, const struct run_step *step);
/* Texts are copied; the error is cut. */
void commit_set_move(struct commit *c, const struct run_move *move);
/* The children are copied. */
void commit_set_park(struct commit *c, const struct commit_park *park);
/* Texts are copied. */
void commit_add_signal_wait(struct commit *c, const struct signal_wait *wait);
void commit_end_signal_wait(struct commit *c, int step, int item);
void commit_end_signal(struct commit *c, int seq);
/* Takes over a child_job that is not submitted. */
void commit_add_child(struct commit *c, struct child_job *child);
/* Gives it back. */
void commit_remove_child(struct commit *c, const struct child_job *child);
bool commit_is_empty(const struct commit *c);
