/* A run in memory: what the loop thread knows of it, what it has still to write, and its slot.
 *
 * Everything that a flow learns goes into its open commit (flow_open). flow_submit hands it to the database
 * thread; while one is under way the next one collects, so that a run has one commit under way at most. What
 * must not start before it is written (an act) names its commit and is woken when that is done.
 *
 * A flow whose kind allows it begins inside the transaction that claims its run: its first commit is written
 * with the claim. Until that is settled nothing of it is submitted and nothing it does is seen outside.
 *
 * A flow that only waits gives its slot back, and asks for one before it goes on. It goes when its last
 * commit is written, when the fence refused one (somebody else has the run, or it was stopped), or with
 * flow_cancel. Loop thread only. */
#pragma once

#include "executor/context/executor.h"
#include "executor/db_thread/commit.h"
#include "json/json.h"

struct act;
struct stage;
struct skill_run;
struct model_run;

/* What differs between the runs of workflows and of skills. */
struct flow_kind {
    void (*begin)(struct flow *f);
    bool
        begins_with_claim; /* nothing that `begin` does is seen outside before the flow's commit is written */
    void (*go_on)(struct flow *f); /* has a slot again, or its go_on timer has fired */
    void (*written)(struct flow *f, const struct commit *c);
    void (*break_off)(struct flow *f, const char *error); /* it fails in the middle: a last word */
    void (*drop)(struct flow *f);                         /* ends all that was started; may come twice */
    bool (*in_the_middle)(const struct flow *f);          /* of what cannot be handed back */
    bool (*may_rest)(const struct flow *f);               /* it only waits */
    void (*deadline)(struct flow *f);
};
/* The kinds that an executor knows, given to it by executor/process. */
struct flow_kinds {
    const struct flow_kind *workflow, *skill, *model;
};

struct flow {
    struct executor *x;
    struct run run; /* as claimed */
    id principal_id;
    struct cached_program *cached;
    struct cached_skill *cached_skill; /* of a skill's run, as are the next */
    const char *input, *extra;         /* JSON as it was sent, and as view_skill_extra wrote it (or NULL) */
    bool had_effects;                  /* an earlier attempt had started something */
    const struct program *program;
    json_object *inputs, *steps, *execution; /* the scope */
    const struct stored_step *stored;        /* what an earlier attempt has left */
    size_t stored_n;
    size_t result_bytes; /* of all steps so far */
    size_t at;           /* the step in hand */
    struct stage *stage; /* NULL between steps */
    struct act *acts;    /* live ones */

    struct commit *open, *under_way;
    struct claimed *claim; /* NULL: it is written */
    bool ending;           /* the open commit, or the one under way, is its last */
    bool in_turn;          /* workflow_go_on is at it */
    bool broken_off;       /* the step in hand has its last row */
    bool tree;             /* children may be running that nobody waits for any more */
    bool has_slot, in_slot_queue;
    struct flow *slot_next;
    const struct flow_kind *kind;
    struct skill_run *skill; /* of a skill's run */
    struct model_run *model; /* of one that calls a model */
    struct timer deadline, go_on;
    int events;       /* log and progress, so far */
    int64_t began_ms; /* CLOCK_BOOTTIME */
};

/* Inside the transaction that claims the run: begins it, if its kind allows that. */
void flow_begin_claim(struct executor *x, struct claimed *c);
/* The claim is written (and the run, if it has not yet, begins), or is not (and it goes). The claim's memory
 * may go afterwards. */
void flow_end_claim(struct executor *x, struct claimed *c, enum err e);

struct commit *flow_open(struct flow *f);
void flow_submit(struct flow *f);

/* The ends. The flow goes when they are written; all its acts are ended now. */
void flow_succeed(struct flow *f, const char *output);
void flow_fail(struct flow *f, enum failure_reason reason, const char *error);
void flow_hand_back(struct flow *f);
/* Forgets it at once; writes nothing. `why` is for the log. */
void flow_cancel(struct flow *f, const char *why);

/* Has a slot, or gets one now, or else is called again (workflow_go_on) when there is one. */
bool flow_take_slot(struct flow *f);
/* Gives the slot back where the flow only waits. */
void flow_rest(struct flow *f);
/* The flow ends, but not what it has started (run_stopped): that has the slot from here on, and gives it
 * back. */
void flow_leave_slot(struct flow *f);
void flow_return_slot(struct executor *x);

/* For SIGTERM: hands back what is not in the middle of something; with `all`, everything. */
void flow_hand_back_idle(struct executor *x, bool all);
void flow_cancel_all(struct executor *x, const char *why);
