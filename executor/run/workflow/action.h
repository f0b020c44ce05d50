/* What a step does. A kind that is pure is evaluated at once and leaves nothing but its result; any other is
 * an act: it starts only after the row that says so is written, it may wait, fail and be tried again, and it
 * ends by action_succeed or action_fail.
 *
 * To add a kind: a struct step_kind in a step_<type>.c of its own and a line in step.c. */
#pragma once

#include "executor/run/active_run.h"

struct step_kind {
    /* pure kinds only. The result is of ctx; an error fails the step with the sentence. */
    enum err (*evaluate)(void *ctx, const struct program_step *step, const struct template_scope *scope,
                         json_object **result_r, const char **why_r);
    /* the others. prepare may be NULL: it runs before the row is written and may call action_set_due_in */
    enum err (*prepare)(struct action *a, const char **why_r);
    void (*start)(struct action *a);
    void (*cancel)(
        struct action *a); /* may be NULL: ends what start began; not called once it has ended by itself */
    bool waits_first;      /* the step's timeout counts while it waits for due_ms */
};
const struct step_kind *step_kind_of(enum step_type type);
extern const struct step_kind step_http, step_transform, step_delay, step_fail, step_workflow, step_skill;

enum action_phase {
    ACTION_WRITING, /* until its row is written */
    ACTION_WAITING, /* for a time or a child: needs no slot */
    ACTION_READY,   /* `then` is called as soon as there is a slot */
    ACTION_RUNNING,
};

/* One step, or one item of a for_each, in hand. A talloc context. */
struct action {
    struct active_run *run;
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
    enum action_phase phase;
    struct commit *awaited_commit;
    void (*on_ready)(struct action *a);
    struct timer wait_timer, timeout_timer;
    void *state; /* the kind's */
    struct action *next;
};

struct action_failure {
    const char *error; /* a sentence */
    bool retry;        /* may go better next time */
    bool answered;     /* an HTTP answer came: the next try is a deliberate one, see step_http.c */
    int64_t retry_after_ms;
    enum failure_reason reason; /* of the run; 0: step_failed */
};

/* The scope that its templates see. */
struct template_scope action_scope(const struct action *a);
/* Sets when it is due. */
void action_set_due_in(struct action *a, int64_t delay_ms);
/* It waits, and is woken by action_wake with what to do then. */
void action_wait(struct action *a);
void action_wake(struct action *a, void (*on_ready)(struct action *a));
/* Its end. `a` is gone afterwards, and the flow has gone on. `result` may be NULL (JSON null); it is
 * borrowed. */
void action_succeed(struct action *a, json_object *result);
void action_fail(struct action *a, const struct action_failure *failure);

/* --- for run_workflow.c --- */
/* A new act, whose row goes into the flow's open commit. NULL where it cannot be prepared: *why_r. */
struct action *action_new(struct active_run *run, const struct program_step *step, int item,
                          json_object *item_value, const struct stored_step *stored, const char **why_r);
/* The commit it needs is written. */
void action_on_written(struct action *a);
/* Ends it without a word. */
void action_cancel(struct action *a);
