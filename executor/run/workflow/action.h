/* An action: one step of a workflow with a side effect, or one item of its for_each, while it is carried out.
 * It starts only after the row that records its start is written, or with it. It may wait, time out, fail and
 * be tried again. It ends by action_succeed or action_fail, which call the owner's on_end. An action uses
 * its group, and does not depend on the interpreter.
 *
 * Steps without a side effect are evaluated at once (struct step_kind, evaluate) and are never actions.
 *
 * A type of step is a struct step_kind step_<type> in its own step_<type>.c and a row of STEP_TYPE_ROWS;
 * docs/architecture.md, "Add a step type", lists all places. Loop thread only. */
#pragma once

#include <sys/queue.h>

#include "executor/run/active_run.h"
#include "executor/run/turns.h"
#include "workflow/program.h"

struct action;

struct step_kind {
    /* Only types without a side effect. The result is of ctx. An error fails the step with *why_r, a
     * sentence. */
    enum err (*evaluate)(void *ctx, const struct program_step *step, const struct template_scope *scope,
                         json_object **result_r, const char **why_r);
    /* All others: the three callbacks below. */
    /* Optional: called before the row is written; may call action_set_due_in. An error fails the step. */
    enum err (*prepare)(struct action *a, const char **why_r);
    /* Optional: called instead, for an action that an earlier attempt has begun. True: it is due now. An
     * error fails the step. */
    enum err (*resume)(struct action *a, bool *is_due_r, const char **why_r);
    void (*start)(struct action *a);
    /* Optional: called instead for an action that is due at once, with the commit that has its row: gives the
     * commit what starts the action when it is written, and not before. False: it cannot, and `start` is
     * called as for others. */
    bool (*start_with_row)(struct action *a, struct commit *c);
    /* Optional: ends what `start` began. Not called once the action has ended by itself. */
    void (*cancel)(struct action *a);
    /* The step's timeout_seconds include the wait for due_ms. */
    bool timeout_includes_wait;
    /* `start` has no effect outside this process: a resumed action that is due starts at once. */
    bool no_effect;
    /* Optional: the child that the action waits for; NULL: it waits for none. */
    const id *(*awaited_child)(const struct action *a);
    /* Optional: the action waits for a signal or its due time; puts the wait into the pending commit, which
     * parks the run. Its step's timeout_seconds are that wait, and limit nothing else. */
    void (*put_signal_wait)(struct action *a);
};
/* NULL only for a value that is no enum step_type; a type without a kind does not link. */
const struct step_kind *step_kind_of(enum step_type type);
/* step_http … */
#define STEP_KIND_DECLARATION(NAME, name, ...) extern const struct step_kind step_##name;
STEP_TYPE_ROWS(STEP_KIND_DECLARATION)
#undef STEP_KIND_DECLARATION

/* The end of a wait for a signal. It is committed with the result of the wait and not before: a signal that
 * was consumed by itself would be lost with the process. */
struct wait_end {
    bool is_over;
    /* the signal that is consumed; 0: the time was over */
    int seq;
};

struct action_end {
    /* -1: the step itself */
    int item;
    int tries;
    /* NULL: it succeeded */
    const char *error;
    enum failure_reason reason;
    /* also of an action that failed, if it has one; borrowed; NULL is JSON null */
    json_object *result;
    /* of an action without an item; one with an item has put it beside its row */
    struct wait_end wait;
};

/* The live actions of one run, in the order in which they were made, and their owner. */
struct action_group {
    struct active_run *run;
    TAILQ_HEAD(action_list, action) actions;
    /* borrowed from the owner */
    const struct program *program;
    struct cached_program *cached_program;
    /* what templates see outside a loop, with the budget of one evaluation; borrowed from the owner */
    struct template_scope scope;
    /* that were given to waits of the run before this attempt; borrowed from the owner */
    const struct given_signal *signals;
    size_t signals_n;
    /* An action has ended; it is freed already. */
    void (*on_end)(void *arg, const struct action_end *end);
    /* An action became ready, or has rows to write. */
    void (*on_progress)(void *arg);
    void *arg;
};

enum action_phase {
    /* until its row is written */
    ACTION_WRITING,
    /* waits for a time or a child: needs no slot */
    ACTION_WAITING,
    /* action_run_ready calls on_ready as soon as the run has a slot */
    ACTION_READY,
    ACTION_RUNNING,
    /* a request is under way, or waits for its place: needs no slot until it has ended */
    ACTION_IN_FLIGHT,
};

/* A talloc child of the run. */
struct action {
    struct action_group *group;
    struct active_run *run;
    const struct program_step *step;
    const struct step_kind *kind;
    /* -1: the step itself */
    int item;
    /* borrowed from the array of the for_each */
    json_object *item_value;
    /* tries begun */
    int tries;
    /* HTTP responses received so far: part of the Idempotency-Key, see step_http.c */
    int answers;
    /* start not before: wall time, as it is stored; 0: at once */
    int64_t due_ms;
    /* the same on CLOCK_BOOTTIME, which the timer uses */
    int64_t due_boot_ms;
    /* wall time */
    int64_t started_ms;
    /* wall time at which this process began this try; 0: an earlier one did */
    int64_t try_ms;
    /* of the HTTP response; 0: none */
    int http_status;
    /* an earlier attempt of the run had begun this try */
    bool resumed;
    /* kind->start was called, or kind->start_with_row, and what it began has not ended */
    bool started;
    enum action_phase phase;
    /* What `start` began lives in this process only, until the action ends: a release of the run would lose
     * it. */
    bool has_effect;
    /* bytes that what `start` began takes while the action waits, by estimate */
    size_t memory;
    /* the commit that must be written before the action starts, or starts it (start_with_row) */
    struct commit *awaited_commit;
    void (*on_ready)(struct action *a);
    struct timer wait_timer, timeout_timer;
    /* CLOCK_BOOTTIME: the time of this try was over then, by the row of a parked run; 0: not begun there */
    int64_t timeout_boot_ms;
    /* set by a wait before it ends */
    struct wait_end wait;
    /* the step type's own; a talloc child of the action, or NULL */
    void *state;
    /* has the state; NULL: it is not out */
    struct action_job *job;
    TAILQ_ENTRY(action) link;
};

struct action_failure {
    /* a sentence */
    const char *error;
    /* another try may succeed */
    bool retry;
    /* an HTTP response was received: the next try gets a new Idempotency-Key, see step_http.c */
    bool answered;
    int64_t retry_after_ms;
    /* what is kept beside the error, if it fits PROGRAM_RESULT_MAX; borrowed; NULL: nothing */
    json_object *result;
    /* of the run; 0: step_failed */
    enum failure_reason reason;
};

/* --- for the step types --- */

/* What the action's templates see, for a new evaluation, which has its own budget. */
struct template_scope action_scope(const struct action *a);
/* The reason of a failed evaluation in that scope, for an action_failure. */
enum failure_reason scope_failure_reason(const struct template_scope *scope);
/* The span of this try: above what it sends and starts. */
struct trace_key action_trace_key(const struct action *a);
/* Sets when the action is due. */
void action_set_due_in(struct action *a, int64_t delay_ms);
/* The action waits without a slot, until action_wake is called. */
void action_wait(struct action *a);
void action_wake(struct action *a, void (*on_ready)(struct action *a));
/* The action, which has started, has changed nothing: it waits again until it is due, as it did before. */
void action_wait_again(struct action *a);
/* The compute thread calls `work` with the state, and then the action is ready. What the result needs is of
 * ctx, which becomes a child of the state. The action keeps its slot, because values take many times the
 * bytes of their text. Until on_ready nothing may use the state; if the action is stopped, the state is freed
 * without a call of `cancel`. */
void action_compute(struct action *a, void (*work)(void *state, void *ctx),
                    void (*on_ready)(struct action *a));
/* A request of this action is under way. The action needs no slot, until action_wake. */
void action_set_in_flight(struct action *a);
/* The time limit of the action begins now, or begins anew; it is suspended. */
void action_start_timeout(struct action *a);
void action_suspend_timeout(struct action *a);
/* Adds the end of a wait, if there is one, to the pending commit, which must have the result of that wait. */
void wait_end_put(struct active_run *run, int step, int item, const struct wait_end *wait);
/* The ends. The action is freed, and the owner may have advanced the run, or ended it, when these return.
 * `result` is borrowed; NULL is JSON null. action_fail tries again instead, if the failure allows it and
 * tries are left. */
void action_succeed(struct action *a, json_object *result);
void action_fail(struct action *a, const struct action_failure *failure);

/* --- for the owner of the group --- */

/* A new action, whose row is put into the run's pending commit. `stored`: the row that an earlier attempt has
 * left, or NULL. Returns NULL if the action cannot be prepared: *why_r, of the run, is the error. */
struct action *action_new(struct action_group *group, const struct program_step *step, int item,
                          json_object *item_value, const struct stored_step *stored, const char **why_r);
/* `c` is written: the actions that awaited it become ready, or wait until they are due. */
void actions_on_written(struct action_group *group, const struct commit *c);
/* Carries on with the actions that are ready, until none is, the turn is over, or the run is ending. */
void actions_run_ready(struct action_group *group, const struct turn *turn);
bool actions_any_in(const struct action_group *group, enum action_phase phase);
/* A release of the run would cut off what one of them does in this process. */
bool actions_have_effect(const struct action_group *group);
/* The run ends in the middle of these actions: puts rows that say so for the items of a for_each. Returns the
 * tries of the action of a step that runs once; 0: there is none. */
int actions_abort(struct action_group *group, const char *error);
/* What the actions wait for, or will once the run's pending commit is written. False: one of them does more
 * than wait, or there is none. The ids are of ctx. */
bool actions_find_wait(const struct action_group *group, void *ctx, struct run_wait *wait_r);
/* Puts the ends of the running time limits into the pending commit, which parks the run. */
void actions_prepare_park(struct action_group *group);
/* Frees all actions without a row or a callback. */
void actions_cancel(struct action_group *group);
