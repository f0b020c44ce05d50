/* A run in memory: what the loop thread knows of it, what it has still to write, and its slot.
 *
 * Everything that a flow learns goes into its open commit (run_pending_commit). run_flush hands it to the
 * database thread; while one is under way the next one collects, so that a run has one commit under way at
 * most. What must not start before it is written (an act) names its commit and is woken when that is done.
 *
 * A flow whose kind allows it begins inside the transaction that claims its run: its first commit is written
 * with the claim. Until that is settled nothing of it is submitted and nothing it does is seen outside.
 *
 * A flow that only waits gives its slot back, and asks for one before it goes on. It goes when its last
 * commit is written, when the fence refused one (somebody else has the run, or it was stopped), or with
 * run_cancel. Loop thread only. */
#pragma once

#include "executor/context/executor.h"
#include "executor/db_thread/claimed_run.h"
#include "executor/run/slots.h"
#include "json/json.h"

struct action;
struct current_step;
struct skill_run;
struct model_run;

/* What differs between the runs of workflows, of skills and of models. resume, on_written, abort_step and
 * can_yield may be NULL: a kind without them has nothing to do there, and never yields its slot. */
struct run_kind {
    void (*begin)(struct active_run *run);
    bool begins_in_claim; /* nothing that `begin` does is seen outside before the flow's commit is written */
    void (*resume)(struct active_run *run); /* has a slot again, or its go_on timer has fired */
    void (*on_written)(struct active_run *run, const struct commit *c);
    void (*abort_step)(struct active_run *run, const char *error); /* it fails in the middle: a last word */
    void (*cancel)(struct active_run *run);                    /* ends all that was started; may come twice */
    bool (*has_inflight_effect)(const struct active_run *run); /* of what cannot be handed back */
    bool (*can_yield)(const struct active_run *run);           /* it only waits */
    void (*on_deadline)(struct active_run *run);
};
/* The kinds that an executor knows, given to it by executor/process. */
struct run_kinds {
    const struct run_kind *workflow, *skill, *model;
};

struct active_run {
    struct executor *exec;
    struct run row; /* as claimed */
    id principal_id;
    struct cached_program *cached_program;
    struct cached_skill *cached_skill; /* of a skill's run, as are the next */
    const char *input, *extra;         /* JSON as it was sent, and as skill_extra_json wrote it (or NULL) */
    bool earlier_side_effects;         /* an earlier attempt had started something */
    const struct program *program;
    json_object *inputs, *steps, *execution; /* the scope */
    const struct stored_step *stored_steps;  /* what an earlier attempt has left */
    size_t stored_steps_n;
    size_t result_bytes;               /* of all steps so far */
    size_t step_index;                 /* the step in hand */
    struct current_step *current_step; /* NULL between steps */
    struct action *actions;            /* live ones */

    struct commit *pending, *in_flight;
    struct claimed_run *claim; /* NULL: it is written */
    bool ending;               /* the open commit, or the one under way, is its last */
    bool advancing;            /* workflow_resume is at it */
    bool step_aborted;         /* the step in hand has its last row */
    bool may_have_children;    /* children may be running that nobody waits for any more */
    struct slot slot;
    const struct run_kind *kind;
    struct skill_run *skill; /* of a skill's run */
    struct model_run *model; /* of one that calls a model */
    struct timer deadline, resume_timer;
    int events;       /* log and progress, so far */
    int64_t began_ms; /* CLOCK_BOOTTIME */
};

/* Inside the transaction that claims the run: begins it, if its kind allows that. */
void run_begin_in_claim(struct executor *exec, struct claimed_run *c);
/* The claim is written (and the run, if it has not yet, begins), or is not (and it goes). The claim's memory
 * may go afterwards. */
void run_settle_claim(struct executor *exec, struct claimed_run *c, enum err e);

struct commit *run_pending_commit(struct active_run *run);
void run_flush(struct active_run *run);

/* The ends. The flow goes when they are written; all its actions are ended now. */
void run_succeed(struct active_run *run, const char *output);
void run_fail(struct active_run *run, enum failure_reason reason, const char *error);
void run_release(struct active_run *run);
/* Forgets it at once; writes nothing. `why` is for the log. */
void run_cancel(struct active_run *run, const char *why);

/* Returns the slot while the run only waits. */
void run_yield_slot(struct active_run *run);

/* For SIGTERM: hands back what is not in the middle of something; with `all`, everything. */
void runs_release_idle(struct executor *exec, bool all);
void runs_cancel_all(struct executor *exec, const char *why);
