#include "executor/run/workflow/interpreter.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "workflow/program_eval.h"

enum {
    SLICE_US = 20000,    /* one run's share of the loop before others have theirs */
    ITEMS_PER_CHECK = 64 /* items of a for_each begun between two looks at the clock */
};

static const char result_too_large[] = "the result is larger than 256 KiB, or nested too deeply";

/* The step in hand. A talloc context, gone with the step. */
struct current_step {
    const struct program_step *step;
    const struct step_kind *kind;
    json_object *items; /* of a for_each; NULL: the step runs once */
    size_t count;       /* of items, or 1 */
    size_t next_item;   /* item to begin */
    size_t items_done;
    size_t actions_running; /* actions */
    size_t value_bytes;     /* of the values of a for_each so far */
    int last_tries;         /* of the one act that has ended */
    json_object **values;   /* by item; references of ours */
    int64_t started_ms;
    const char *error; /* it has failed */
    enum failure_reason reason;
};

static struct template_scope run_scope(const struct active_run *run)
{
    return (struct template_scope){.inputs = run->inputs, .steps = run->steps, .execution = run->execution};
}

static struct template_scope item_scope(const struct active_run *run, size_t item)
{
    struct template_scope scope = run_scope(run);
    scope.in_loop = run->current_step->items != NULL;
    if (scope.in_loop) {
        scope.item = json_object_array_get_idx(run->current_step->items, item);
        scope.index = (int64_t)item;
    }
    return scope;
}

static int compare_stored_steps(const void *key, const void *member)
{
    const struct stored_step *a = key;
    const struct stored_step *b = member;
    return a->step != b->step ? a->step - b->step : a->item - b->item;
}

/* The rows come in program order. */
static const struct stored_step *find_stored_step(const struct active_run *run, size_t step, int item)
{
    struct stored_step key = {.step = (int)step, .item = item};
    return run->stored_steps_n > 0
               ? bsearch(&key, run->stored_steps, run->stored_steps_n, sizeof key, compare_stored_steps)
               : NULL;
}

static json_object *parse_stored_result(void *ctx, const struct stored_step *s)
{
    json_object *value = NULL;
    const char *why;
    if (s->result &&
        json_parse(ctx, s->result, strlen(s->result), TEMPLATE_DEPTH_MAX + 1, &value, &why) != OK)
        return NULL;
    return value;
}

/* --- rows and events --- */

static void add_step_event(struct active_run *run, enum event_type type, const struct program_step *step,
                           const char *error)
{
    json_object *data = json_object_new_object();
    json_object_object_add(data, "index", json_object_new_int((int)step->index));
    json_object_object_add(data, "name", json_object_new_string(step->name));
    json_object_object_add(data, "step_type", json_object_new_string(step->type_name));
    if (error)
        json_object_object_add(data, "error", json_object_new_string(error));
    commit_add_event(run_pending_commit(run), type, clock_wall_ms(), json_text(data, NULL));
    json_object_put(data);
}

static void put_step_row(struct active_run *run, const struct program_step *step, enum step_status status,
                         const char *result, const char *error)
{
    const struct current_step *s = run->current_step;
    const struct stored_step *stored = find_stored_step(run, step->index, -1);
    struct run_step row = {.step = (int)step->index,
                           .item = -1,
                           .status = status,
                           .tries = status == STEP_STATUS_SKIPPED ? 0
                                    : stored && stored->tries     ? stored->tries
                                                                  : 1,
                           .started_ms = s ? s->started_ms : clock_wall_ms(),
                           .completed_ms = status == STEP_STATUS_RUNNING ? 0 : clock_wall_ms(),
                           .result = result,
                           .error = error};
    if (s && s->last_tries > row.tries)
        row.tries = s->last_tries;
    commit_put_step(run_pending_commit(run), &row);
}

/* --- the end of a step --- */

static int current_step_free(struct current_step *s)
{
    for (size_t i = 0; s->values && i < s->count; i++)
        json_object_put(s->values[i]);
    return 0;
}

static void next_step(struct active_run *run)
{
    talloc_free(run->current_step);
    run->current_step = NULL;
    run->step_index++;
}

static void cancel_actions(struct active_run *run)
{
    while (run->actions)
        action_cancel(run->actions);
}

static void fail_step(struct active_run *run, const struct program_step *step, const char *error,
                      enum failure_reason reason)
{
    if (!run->current_step)
        add_step_event(run, EVENT_STEP_STARTED, step, NULL);
    put_step_row(run, step, STEP_STATUS_FAILED, NULL, error);
    add_step_event(run, EVENT_STEP_FAILED, step, error);
    if (step->continue_on_error) {
        program_scope_put(run->steps, step->name, "failed", NULL, error);
        cancel_actions(run);
        next_step(run);
        return;
    }
    char *sentence = talloc_asprintf(run, "step %s: %s", step->name, error);
    run->step_aborted = true;
    run_fail(run, reason, sentence);
}

static void complete_step(struct active_run *run)
{
    struct current_step *s = run->current_step;
    const struct program_step *step = s->step;
    json_object *result;
    if (s->items) {
        result = json_object_new_array_ext((int)s->count);
        for (size_t i = 0; i < s->count; i++)
            json_object_array_add(result, json_object_get(s->values[i]));
    } else {
        result = json_object_get(s->values[0]);
    }
    json_own(s, result);
    size_t size = template_json_size(result, PROGRAM_RESULT_MAX);
    if (size == SIZE_MAX) {
        fail_step(run, step, result_too_large, REASON_STEP_FAILED);
        return;
    }
    run->result_bytes += size;
    put_step_row(run, step, STEP_STATUS_COMPLETED, json_text(result, NULL), NULL);
    add_step_event(run, EVENT_STEP_SUCCEEDED, step, NULL);
    program_scope_put(run->steps, step->name, "completed", result, NULL);
    next_step(run);
    if (run->result_bytes > PROGRAM_RUN_MAX)
        run_fail(run, REASON_OUTPUT_LIMIT, "the results of the run's steps are larger than 4 MiB together");
}

static void skip_step(struct active_run *run, const struct program_step *step)
{
    put_step_row(run, step, STEP_STATUS_SKIPPED, NULL, NULL);
    add_step_event(run, EVENT_STEP_SKIPPED, step, NULL);
    program_scope_put(run->steps, step->name, "skipped", NULL, NULL);
    next_step(run);
}

/* --- items --- */

/* The array of a for_each has the limit of any result, and is weighed while it grows: ten thousand items of
 * 256 KiB each are not to be held first. */
static void set_item_value(struct current_step *s, size_t item, json_object *value)
{
    s->values[item] = json_object_get(value);
    s->items_done++;
    if (!s->items || s->error)
        return;
    size_t size = template_json_size(value, PROGRAM_RESULT_MAX);
    s->value_bytes = size == SIZE_MAX ? size : s->value_bytes + size;
    if (s->value_bytes > PROGRAM_RESULT_MAX) {
        s->error = result_too_large;
        s->reason = REASON_STEP_FAILED;
    }
}

void workflow_item_done(struct active_run *run, int item, int tries, json_object *result)
{
    struct current_step *s = run->current_step;
    s->actions_running--;
    if (item < 0)
        s->last_tries = tries;
    set_item_value(s, item < 0 ? 0 : (size_t)item, result);
}

void workflow_item_failed(struct active_run *run, int item, int tries, const char *error,
                          enum failure_reason reason)
{
    struct current_step *s = run->current_step;
    s->actions_running--;
    if (item < 0)
        s->last_tries = tries;
    if (s->error)
        return;
    s->error = item < 0 ? error : talloc_asprintf(s, "item %d: %s", item, error);
    s->reason = reason;
}

static void fail_item(struct current_step *s, size_t item, const char *error)
{
    if (!s->error)
        s->error = s->items ? talloc_asprintf(s, "item %zu: %s", item, error) : talloc_strdup(s, error);
    s->reason = REASON_STEP_FAILED;
}

/* The result of a kind that has no side effect: had at once. */
static void evaluate_item(struct active_run *run, size_t item, const struct template_scope *scope)
{
    struct current_step *s = run->current_step;
    void *scratch = talloc_new(s);
    json_object *value = NULL;
    const char *why = NULL;
    enum err e = s->kind->evaluate(scratch, s->step, scope, &value, &why);
    if (e == OK)
        set_item_value(s, item, value);
    else
        fail_item(s, item, why ? why : "cannot be done");
    talloc_free(scratch);
}

/* Whether this item is to be done; an `if` of its own may say no, or fail. */
static bool item_condition_holds(struct active_run *run, size_t item, const struct template_scope *scope)
{
    struct current_step *s = run->current_step;
    bool holds = true;
    const char *why = NULL;
    void *scratch = talloc_new(s);
    if (s->step->condition && s->step->condition_per_item &&
        condition_eval(scratch, s->step->condition, scope, &holds, &why) != OK) {
        fail_item(s, item, why ? why : "the condition cannot be evaluated");
        holds = false;
    } else if (!holds) {
        set_item_value(s, item, NULL);
    }
    talloc_free(scratch);
    return holds;
}

static void begin_item(struct active_run *run, size_t item)
{
    struct current_step *s = run->current_step;
    struct template_scope scope = item_scope(run, item);
    int number = s->items ? (int)item : -1;
    const struct stored_step *stored =
        s->kind->evaluate ? NULL : find_stored_step(run, s->step->index, number);
    const char *why;
    if (stored && stored->status == STEP_STATUS_COMPLETED && number >= 0) {
        void *scratch = talloc_new(s);
        set_item_value(s, item, parse_stored_result(scratch, stored));
        talloc_free(scratch);
    } else if (!item_condition_holds(run, item, &scope)) {
        return;
    } else if (s->kind->evaluate) {
        evaluate_item(run, item, &scope);
    } else if (action_new(run, s->step, number, scope.item, stored, &why)) {
        s->actions_running++;
    } else {
        fail_item(s, item, why);
    }
}

static bool can_begin_item(const struct active_run *run)
{
    const struct current_step *s = run->current_step;
    size_t limit = s->items && s->step->concurrency > 0 ? (size_t)s->step->concurrency : 1;
    if (s->error || s->next_item == s->count)
        return false;
    if (s->kind->evaluate)
        return true;
    return s->actions_running < limit && !run->exec->stopping;
}

/* Goes on with the step in hand. False: its actions have to end first. */
static bool advance_items(struct active_run *run)
{
    struct current_step *s = run->current_step;
    for (int n = 0; n < ITEMS_PER_CHECK && can_begin_item(run); n++)
        begin_item(run, s->next_item++);
    if (s->error) {
        cancel_actions(run);
        fail_step(run, s->step, s->error, s->reason);
        return true;
    }
    if (s->items_done == s->count) {
        complete_step(run);
        return true;
    }
    return can_begin_item(run);
}

/* --- steps --- */

static void restore_step(struct active_run *run, const struct program_step *step,
                         const struct stored_step *stored)
{
    void *scratch = talloc_new(run);
    json_object *result = parse_stored_result(scratch, stored);
    run->result_bytes += stored->result ? strlen(stored->result) : 0;
    program_scope_put(run->steps, step->name, step_status_name(stored->status), result, stored->error);
    talloc_free(scratch);
    run->step_index++;
}

/* Looks up what the step goes over. */
static bool evaluate_for_each(struct active_run *run, const char **why_r)
{
    struct current_step *s = run->current_step;
    struct template_scope scope = run_scope(run);
    s->count = 1;
    if (s->step->for_each) {
        if (program_items(s, s->step, &scope, &s->items, why_r) != OK)
            return false;
        s->count = json_object_array_length(s->items);
    }
    s->values = talloc_zero_array(s, json_object *, s->count + 1);
    return true;
}

static void begin_step(struct active_run *run, const struct program_step *step,
                       const struct stored_step *stored)
{
    struct current_step *s = run->current_step = talloc_zero(run, struct current_step);
    const char *why = NULL;
    talloc_set_destructor(s, current_step_free);
    s->step = step;
    s->kind = step_kind_of(step->type);
    s->started_ms = stored && stored->started_ms ? stored->started_ms : clock_wall_ms();
    if (!stored)
        add_step_event(run, EVENT_STEP_STARTED, step, NULL);
    if (!s->kind)
        fail_step(run, step, "this executor does not know this type of step", REASON_INTERNAL);
    else if (!evaluate_for_each(run, &why))
        fail_step(run, step, why ? why : "for_each cannot be evaluated", REASON_STEP_FAILED);
    else if (!stored && s->items && !s->kind->evaluate)
        put_step_row(run, step, STEP_STATUS_RUNNING, NULL, NULL);
}

static void enter_step(struct active_run *run)
{
    const struct program_step *step = &run->program->steps[run->step_index];
    const struct stored_step *stored = find_stored_step(run, run->step_index, -1);
    bool holds = true;
    const char *why = NULL;
    if (stored && stored->status != STEP_STATUS_RUNNING) {
        restore_step(run, step, stored);
        return;
    }
    void *scratch = talloc_new(run);
    struct template_scope scope = run_scope(run);
    enum err e = OK;
    if (step->condition && !step->condition_per_item)
        e = condition_eval(scratch, step->condition, &scope, &holds, &why);
    if (e != OK)
        fail_step(run, step, why ? why : "the condition cannot be evaluated", REASON_STEP_FAILED);
    else if (!holds)
        skip_step(run, step);
    else
        begin_step(run, step, stored);
    talloc_free(scratch);
}

static void finish_workflow(struct active_run *run)
{
    struct template_scope scope = run_scope(run);
    void *scratch = talloc_new(run);
    json_object *output;
    const char *why = NULL;
    enum err e = program_outputs(scratch, run->program, &scope, &output, &why);
    if (e == OK)
        run_succeed(run, json_text(output, NULL));
    else
        run_fail(run, e == ERR_LIMIT ? REASON_OUTPUT_LIMIT : REASON_OUTPUTS_INVALID,
                 talloc_asprintf(scratch, "outputs: %s", why ? why : "cannot be made"));
    talloc_free(scratch);
}

/* --- from outside --- */

static void run_ready_actions(struct active_run *run)
{
    struct action *a = run->actions;
    while (a && !run->ending) {
        if (a->phase != ACTION_READY) {
            a = a->next;
            continue;
        }
        a->phase = ACTION_RUNNING;
        a->on_ready(a);
        a = run->actions; /* any of them may have ended */
    }
}

static bool has_ready_action(const struct active_run *run)
{
    for (const struct action *a = run->actions; a; a = a->next) {
        if (a->phase == ACTION_READY)
            return true;
    }
    return false;
}

static bool no_action_running(const struct active_run *run)
{
    for (const struct action *a = run->actions; a; a = a->next) {
        if (a->phase == ACTION_RUNNING || a->phase == ACTION_WRITING)
            return false;
    }
    return true;
}

static void advance_steps(struct active_run *run)
{
    int64_t until_us = clock_boot_us() + SLICE_US;
    bool runnable = true;
    while (runnable && !run->ending) {
        if (run->current_step)
            runnable = advance_items(run);
        else if (run->step_index == run->program->step_count)
            finish_workflow(run);
        else
            enter_step(run);
        if (runnable && !run->ending && clock_boot_us() > until_us) {
            timer_set(run->exec->timers, &run->resume_timer, clock_boot_ms());
            runnable = false;
        }
    }
}

void workflow_resume(struct active_run *run)
{
    if (run->ending || run->advancing || !slot_acquire(&run->slot))
        return;
    run->advancing = true; /* actions that end at once come back to here */
    do {
        run_ready_actions(run);
        advance_steps(run);
    } while (!run->ending && !timer_is_set(&run->resume_timer) && has_ready_action(run));
    run->advancing = false;
    if (!run->ending && run->exec->stopping && !timer_is_set(&run->resume_timer) && no_action_running(run))
        run_release(run);
    else
        run_flush(run);
}

void workflow_begin(struct active_run *run)
{
    workflow_resume(run);
}

void workflow_on_written(struct active_run *run, const struct commit *c)
{
    for (struct action *a = run->actions; a; a = a->next) {
        if (a->awaited_commit == c)
            action_on_written(a);
    }
    workflow_resume(run);
}

void workflow_abort_step(struct active_run *run, const char *error)
{
    if (!run->current_step || run->step_aborted)
        return;
    put_step_row(run, run->current_step->step, STEP_STATUS_FAILED, NULL, error);
    add_step_event(run, EVENT_STEP_FAILED, run->current_step->step, error);
}

/* --- as a kind of flow --- */

static bool workflow_has_inflight_effect(const struct active_run *run)
{
    for (const struct action *a = run->actions; a; a = a->next) {
        if (a->phase == ACTION_RUNNING)
            return true;
    }
    return false;
}

static bool workflow_can_yield(const struct active_run *run)
{
    for (const struct action *a = run->actions; a; a = a->next) {
        if (a->phase != ACTION_WAITING)
            return false;
    }
    return run->actions != NULL;
}

static void workflow_on_deadline(struct active_run *run)
{
    run_fail(run, REASON_TIMEOUT, "the run took longer than it may");
}

const struct run_kind workflow_run_kind = {
    .begin = workflow_begin,
    .begins_in_claim = true,
    .resume = workflow_resume,
    .on_written = workflow_on_written,
    .abort_step = workflow_abort_step,
    .cancel = cancel_actions,
    .has_inflight_effect = workflow_has_inflight_effect,
    .can_yield = workflow_can_yield,
    .on_deadline = workflow_on_deadline,
};
