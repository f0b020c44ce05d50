/* What a step does. A kind that is pure is evaluated at once and leaves nothing but its result; any other is
 * an act: it starts only after the row that says so is written, it may wait, fail and be tried again, and it
 * ends by act_succeed or act_fail.
 *
 * To add a kind: a struct step_kind in a step_<type>.c of its own and a line in step.c. */
#pragma once

#include "executor/run/active_run.h"

struct step_kind {
    /* pure kinds only. The result is of ctx; an error fails the step with the sentence. */
    enum err (*evaluate)(void *ctx, const struct program_step *step, const struct template_scope *scope,
                         json_object **result_r, const char **why_r);
    /* the others. prepare may be NULL: it runs before the row is written and may call act_due_in */
    enum err (*prepare)(struct act *a, const char **why_r);
    void (*start)(struct act *a);
    void (*cancel)(
        struct act *a); /* may be NULL: ends what start began; not called once it has ended by itself */
    bool waits_first;   /* the step's timeout counts while it waits for due_ms */
};
const struct step_kind *step_kind_of(enum step_type type);
extern const struct step_kind step_http, step_transform, step_delay, step_fail, step_workflow, step_skill;

enum act_phase {
    ACT_WRITING, /* until its row is written */
    ACT_WAITING, /* for a time or a child: needs no slot */
    ACT_WOKEN,   /* `then` is called as soon as there is a slot */
    ACT_GOING,
};

/* One step, or one item of a for_each, in hand. A talloc context. */
struct act {
    struct flow *flow;
    const struct program_step *step;
    const struct step_kind *kind;
    int item;                /* -1: the step itself */
    json_object *item_value; /* borrowed from the stage's array */
    int tries, answers;      /* tries begun; HTTP answers had, see step_http.c */
    int64_t due_ms;          /* wall time, as it is stored: not before; 0: now */
    int64_t due_boot_ms;     /* the same on CLOCK_BOOTTIME, which is what is waited for */
    int64_t started_ms;      /* wall time */
    bool resumed;            /* an earlier attempt had begun this try */
    bool started;            /* kind->start was called and has not ended */
    enum act_phase phase;
    struct commit *needs;
    void (*then)(struct act *a);
    struct timer wait, timeout;
    void *state; /* the kind's */
    struct act *next;
};

struct act_failure {
    const char *error; /* a sentence */
    bool retry;        /* may go better next time */
    bool answered;     /* an HTTP answer came: the next try is a deliberate one, see step_http.c */
    int64_t retry_after_ms;
    enum failure_reason reason; /* of the run; 0: step_failed */
};

/* The scope that its templates see. */
struct template_scope act_scope(const struct act *a);
/* Sets when it is due. */
void act_due_in(struct act *a, int64_t delay_ms);
/* It waits, and is woken by act_wake with what to do then. */
void act_wait(struct act *a);
void act_wake(struct act *a, void (*then)(struct act *a));
/* Its end. `a` is gone afterwards, and the flow has gone on. `result` may be NULL (JSON null); it is
 * borrowed. */
void act_succeed(struct act *a, json_object *result);
void act_fail(struct act *a, const struct act_failure *failure);

/* --- for run_workflow.c --- */
/* A new act, whose row goes into the flow's open commit. NULL where it cannot be prepared: *why_r. */
struct act *act_new(struct flow *f, const struct program_step *step, int item, json_object *item_value,
                    const struct stored_step *stored, const char **why_r);
/* The commit it needs is written. */
void act_written(struct act *a);
/* Ends it without a word. */
void act_drop(struct act *a);
