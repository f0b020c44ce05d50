#include "executor/run/workflow/interpreter.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/tally.h"
#include "executor/db_thread/error_text.h"
#include "executor/run/claim_copy.h"
#include "executor/run/workflow/action.h"
#include "executor/run/workflow/scope_memory.h"
#include "workflow/program_eval.h"

enum {
    /* what a run and one of its steps take besides their values, by estimate */
    RUN_BYTES = 8 * 1024,
    STEP_BYTES = 2 * 1024,
    /* a smaller scope is kept even if memory is scarce */
    SCOPE_KEPT_BYTES = 16 * 1024,
    /* larger inputs and stored results are parsed in the run's first turn, or by the compute thread */
    PARSED_AT_ONCE_MAX = 4 * 1024,
};

static const char result_too_large[] = "the result exceeds 256 KiB or is nested too deeply";

/* The step that is being carried out. A talloc context, freed at the end of the step. */
struct current_step {
    const struct program_step *step;
    const struct step_kind *kind;
    /* of a for_each; NULL: the step runs once */
    json_object *items;
    /* of items, or 1 */
    size_t count;
    /* the next item to begin */
    size_t next_item;
    size_t items_done;
    size_t actions_running;
    /* bytes of the values of a for_each so far */
    size_t value_bytes;
    /* memory of items and of values, by estimate, where actions may wait: a dropped scope leaves them */
    size_t items_memory, values_memory;
    /* of the action that has ended, of a step that runs once: its tries, and what it has waited for */
    int last_tries;
    struct wait_end wait;
    /* by item; this struct owns one reference of each */
    json_object **values;
    int64_t started_ms;
    /* NULL: the step has not failed */
    const char *error;
    enum failure_reason reason;
    /* what is kept beside the error; NULL: nothing; of this struct */
    json_object *failed_result;
};

/* The state of a workflow's run. */
struct workflow_run {
    struct active_run *run;
    /* a reference; NULL: it does not compile */
    struct cached_program *cached_program;
    const struct program *program;
    /* with the scope: inputs, steps, execution */
    struct action_group actions;
    /* of the evaluation that was begun last; the scope refers to it */
    struct budget budget;
    struct scope_memory scope_memory;
    struct scope_owner owner;
    /* what earlier attempts have left, in program order */
    const struct stored_step *stored_steps;
    size_t stored_steps_n;
    /* what it should have adopted is gone */
    bool adoption_lost;
    /* of all steps so far */
    size_t result_bytes;
    size_t step_index;
    /* NULL: no step has failed the run; else the steps of on_failure are executed, and then it fails with
     * this sentence */
    const char *failure;
    enum failure_reason failure_reason;
    struct turn turn;
    /* NULL between steps */
    struct current_step *current_step;
    /* workflow_advance is to be called when the scope's job comes back */
    bool awaits_scope;
    /* workflow_advance is active */
    bool advancing;
    /* the current step has its last row */
    bool step_aborted;
};

static void workflow_advance(struct workflow_run *w);
static size_t workflow_memory(const struct active_run *run);

/* The scope of a new evaluation, which has its own budget. */
static struct template_scope step_scope(struct workflow_run *w)
{
    w->budget = (struct budget){.limit = BUDGET_EVALUATION};
    return w->actions.scope;
}

/* The reason for which a step fails whose evaluation failed. */
static enum failure_reason evaluation_reason(const struct workflow_run *w)
{
    return w->budget.exceeded ? REASON_LIMIT_EXCEEDED : REASON_STEP_FAILED;
}

static struct template_scope item_scope(struct workflow_run *w, size_t item)
{
    struct template_scope scope = step_scope(w);
    scope.in_loop = w->current_step->items != NULL;
    if (scope.in_loop) {
        scope.item = json_object_array_get_idx(w->current_step->items, item);
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

/* The row that an earlier attempt has left; NULL: none. The rows are in program order. */
static const struct stored_step *find_stored_step(const struct workflow_run *w, size_t step, int item)
{
    struct stored_step key = {.step = (int)step, .item = item};
    return w->stored_steps_n > 0
               ? bsearch(&key, w->stored_steps, w->stored_steps_n, sizeof key, compare_stored_steps)
               : NULL;
}

/* Borrowed, or of ctx. */
static json_object *parse_stored_result(const struct workflow_run *w, void *ctx, const struct stored_step *s)
{
    json_object *value = NULL;
    const char *why;
    if (w->scope_memory.stored_values)
        return w->scope_memory.stored_values[s - w->stored_steps];
    if (s->result &&
        json_parse_tolerant(ctx, s->result, strlen(s->result), PROGRAM_RESULT_DEPTH_MAX, &value, &why) != OK)
        return NULL;
    return value;
}

/* --- rows and events --- */

static void add_step_event(struct workflow_run *w, enum event_type type, const struct program_step *step,
                           const char *error)
{
    json_object *data = json_object_new_object();
    json_object_object_add(data, "index", json_object_new_int((int)step->index));
    json_object_object_add(data, "name", json_object_new_string(step->name));
    json_object_object_add(data, "step_type", json_object_new_string(step->type_name));
    if (error)
        json_object_object_add(data, "error",
                               json_object_new_string(error_text(run_pending_commit(w->run), error)));
    commit_add_event(run_pending_commit(w->run), type, clock_wall_ms(), json_text(data, NULL));
    json_object_put(data);
}

static void trace_step(struct workflow_run *w, const struct program_step *step, const struct run_step *row)
{
    struct run_span span = {
        .key = {TRACE_SPAN_STEP, row->step, 0, 0},
        .above = {.span = TRACE_SPAN_RUN},
        .step = step->name,
        .type = step->type_name,
        .start_ms = row->started_ms,
        .failed = row->status == STEP_STATUS_FAILED,
    };
    span.reason = span.failed ? reason_name(row->reason ? row->reason : REASON_STEP_FAILED) : NULL;
    run_trace_span(&w->run->trace, &span);
}

static void put_step_row(struct workflow_run *w, const struct program_step *step, enum step_status status,
                         const char *result, const char *error, enum failure_reason reason)
{
    const struct current_step *s = w->current_step;
    const struct stored_step *stored = find_stored_step(w, step->index, -1);
    struct run_step row = {.step = (int)step->index,
                           .item = -1,
                           .status = status,
                           .tries = status == STEP_STATUS_SKIPPED ? 0
                                    : stored && stored->tries     ? stored->tries
                                                                  : 1,
                           .started_ms = s                              ? s->started_ms
                                         : stored && stored->started_ms ? stored->started_ms
                                                                        : clock_wall_ms(),
                           .completed_ms = status == STEP_STATUS_RUNNING ? 0 : clock_wall_ms(),
                           .result = result,
                           .error = error,
                           .reason = reason};
    if (s && s->last_tries > row.tries)
        row.tries = s->last_tries;
    if (status == STEP_STATUS_COMPLETED || status == STEP_STATUS_FAILED)
        tally_time(MEASURE_STEP, (int)step->type, status == STEP_STATUS_COMPLETED ? 1 : 2,
                   row.completed_ms - row.started_ms);
    commit_put_step(run_pending_commit(w->run), &row);
    if (status == STEP_STATUS_COMPLETED || status == STEP_STATUS_FAILED) {
        if (s)
            wait_end_put(w->run, (int)step->index, -1, &s->wait);
        trace_step(w, step, &row);
    }
}

/* The copy of a row of the run that this one retries. */
static void put_adopted_row(struct workflow_run *w, const struct stored_step *stored)
{
    struct run_step row = {.step = stored->step,
                           .item = stored->item,
                           .status = stored->status,
                           .tries = stored->tries,
                           .answers = stored->answers,
                           .started_ms = stored->started_ms,
                           .completed_ms = stored->completed_ms,
                           .result = stored->result,
                           .error = stored->error,
                           .reason = stored->reason};
    commit_put_step(run_pending_commit(w->run), &row);
}

/* --- the end of a step --- */

static int current_step_free(struct current_step *s)
{
    for (size_t i = 0; s->values && i < s->count; i++)
        json_object_put(s->values[i]);
    return 0;
}

static void next_step(struct workflow_run *w)
{
    talloc_free(w->current_step);
    w->current_step = NULL;
    w->step_index++;
}

/* A failure during the steps of on_failure does not replace the one that they handle. */
static void fail_workflow(struct workflow_run *w, enum failure_reason reason, const char *error)
{
    if (w->failure)
        run_fail(w->run, w->failure_reason, w->failure);
    else
        run_fail(w->run, reason, error);
}

/* Counts the result of a step that has ended. */
static void add_result(struct workflow_run *w, json_object *result, size_t size)
{
    w->result_bytes += size;
    w->scope_memory.tree_bytes += STEP_BYTES + json_tree_bytes(result);
    if (w->result_bytes > PROGRAM_RUN_MAX)
        fail_workflow(w, REASON_OUTPUT_LIMIT, "the results of all steps exceed 4 MiB");
}

/* For the log. */
static void note_failed_step(struct workflow_run *w, const struct program_step *step)
{
    const struct stored_step *stored = find_stored_step(w, step->index, -1);
    w->run->failed_step = step->name;
    w->run->failed_try = w->current_step && w->current_step->last_tries ? w->current_step->last_tries
                         : stored && stored->tries                      ? stored->tries
                                                                        : 1;
}

/* Begins the steps of on_failure. `step`: the one that failed, or NULL; `error`: its error. */
static void begin_failure(struct workflow_run *w, const struct program_step *step, const char *error,
                          enum failure_reason reason, const char *sentence)
{
    json_object *failure = json_object_new_object();
    json_object_object_add(failure, "step", step ? json_object_new_string(step->name) : NULL);
    json_object_object_add(failure, "reason", json_object_new_string(reason_name(reason)));
    json_object_object_add(failure, "error", json_object_new_string(error));
    json_object_object_add(w->actions.scope.execution, "failure", failure);
    w->failure = talloc_strdup(w, sentence);
    w->failure_reason = reason;
    w->step_index = w->program->main_count;
}

/* The run can still handle a failure. */
static bool handles_failure(const struct workflow_run *w)
{
    return !w->failure && w->program->main_count < w->program->step_count;
}

/* The step has ended, and the run goes on, with the next step or with those of on_failure. */
static void pass_failed_step(struct workflow_run *w, const struct program_step *step, const char *error,
                             enum failure_reason reason)
{
    json_object *result = w->current_step ? w->current_step->failed_result : NULL;
    program_scope_put(w->actions.scope.steps, step->name, "failed", result, error);
    actions_cancel(&w->actions);
    json_object_get(result);
    if (!step->continue_on_error) {
        note_failed_step(w, step);
        begin_failure(w, step, error, reason, talloc_asprintf(w, "step %s: %s", step->name, error));
        TALLOC_FREE(w->current_step);
    } else {
        next_step(w);
    }
    add_result(w, result, result ? program_result_size(result) : 0);
    json_object_put(result);
}

static void fail_step(struct workflow_run *w, const struct program_step *step, const char *error,
                      enum failure_reason reason)
{
    json_object *result = w->current_step ? w->current_step->failed_result : NULL;
    error = error_text(w, error); /* as it is stored: another attempt sees the same */
    if (!w->current_step)
        add_step_event(w, EVENT_STEP_STARTED, step, NULL);
    put_step_row(w, step, STEP_STATUS_FAILED, result ? json_text(result, NULL) : NULL, error, reason);
    add_step_event(w, EVENT_STEP_FAILED, step, error);
    if (step->continue_on_error || handles_failure(w)) {
        pass_failed_step(w, step, error, reason);
        return;
    }
    w->step_aborted = true;
    if (!w->failure)
        note_failed_step(w, step);
    fail_workflow(w, reason, talloc_asprintf(w, "step %s: %s", step->name, error));
}

static void complete_step(struct workflow_run *w)
{
    struct current_step *s = w->current_step;
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
    size_t size = program_result_size(result);
    if (size == SIZE_MAX) {
        fail_step(w, step, result_too_large, REASON_STEP_FAILED);
        return;
    }
    put_step_row(w, step, STEP_STATUS_COMPLETED, json_text(result, NULL), NULL, REASON_NONE);
    add_step_event(w, EVENT_STEP_SUCCEEDED, step, NULL);
    program_scope_put(w->actions.scope.steps, step->name, "completed", result, NULL);
    json_object_get(result);
    next_step(w);
    add_result(w, result, size);
    json_object_put(result);
}

static void skip_step(struct workflow_run *w, const struct program_step *step)
{
    put_step_row(w, step, STEP_STATUS_SKIPPED, NULL, NULL, REASON_NONE);
    add_step_event(w, EVENT_STEP_SKIPPED, step, NULL);
    program_scope_put(w->actions.scope.steps, step->name, "skipped", NULL, NULL);
    next_step(w);
}

/* --- items --- */

/* The array of a for_each has the size limit of any result. The limit is applied while the array grows, so
 * that memory never holds 10,000 items of 256 KiB each. */
static void set_item_value(struct current_step *s, size_t item, json_object *value)
{
    s->values[item] = json_object_get(value);
    s->items_done++;
    if (!s->items || s->error)
        return;
    s->values_memory += s->kind->evaluate ? 0 : json_tree_bytes(value);
    size_t size = program_result_size(value);
    s->value_bytes = size == SIZE_MAX ? size : s->value_bytes + size;
    if (s->value_bytes > PROGRAM_RESULT_MAX) {
        s->error = result_too_large;
        s->reason = REASON_STEP_FAILED;
    }
}

/* The end of an item of a step with on_item_error "continue": {"result"}, or {"error"} with what is kept
 * beside it. `error` NULL: the item has succeeded. */
static void put_item_end(struct current_step *s, size_t item, json_object *result, const char *error)
{
    void *scratch = talloc_new(s);
    json_object *end = json_own(scratch, json_object_new_object());
    if (error)
        json_object_object_add(end, "error", json_object_new_string(error));
    if (!error || result)
        json_object_object_add(end, "result", json_object_get(result));
    set_item_value(s, item, end);
    talloc_free(scratch);
}

static void put_item_result(struct current_step *s, size_t item, json_object *result)
{
    if (s->step->continue_on_item_error)
        put_item_end(s, item, result, NULL);
    else
        set_item_value(s, item, result);
}

static void on_action_end(void *arg, const struct action_end *end)
{
    struct workflow_run *w = arg;
    struct current_step *s = w->current_step;
    s->actions_running--;
    if (end->item < 0) {
        s->last_tries = end->tries;
        s->wait = end->wait;
    }
    if (!end->error) {
        put_item_result(s, end->item < 0 ? 0 : (size_t)end->item, end->result);
    } else if (s->step->continue_on_item_error) {
        put_item_end(s, (size_t)end->item, end->result, error_text(s, end->error));
    } else if (!s->error) {
        s->error = end->item < 0 ? end->error : talloc_asprintf(s, "item %d: %s", end->item, end->error);
        s->reason = end->reason;
        if (end->result)
            s->failed_result = json_own(s, json_object_get(end->result));
    }
    workflow_advance(w);
}

/* The evaluation of an item has failed. */
static void fail_item(struct workflow_run *w, size_t item, const char *error)
{
    struct current_step *s = w->current_step;
    if (s->step->continue_on_item_error) {
        put_item_end(s, item, NULL, error);
        return;
    }
    if (!s->error)
        s->error = s->items ? talloc_asprintf(s, "item %zu: %s", item, error) : talloc_strdup(s, error);
    s->reason = evaluation_reason(w);
}

/* For a step type without a side effect. */
static void evaluate_item(struct workflow_run *w, size_t item, const struct template_scope *scope)
{
    struct current_step *s = w->current_step;
    void *scratch = talloc_new(s);
    json_object *value = NULL;
    const char *why = NULL;
    enum err e = s->kind->evaluate(scratch, s->step, scope, &value, &why);
    if (e == OK)
        put_item_result(s, item, value);
    else
        fail_item(w, item, why ? why : "the step could not be evaluated");
    talloc_free(scratch);
}

/* False: the step's `if` skips this item, or could not be evaluated and has failed it. */
static bool item_condition_holds(struct workflow_run *w, size_t item, const struct template_scope *scope)
{
    struct current_step *s = w->current_step;
    bool holds = true;
    const char *why = NULL;
    void *scratch = talloc_new(s);
    if (s->step->condition && s->step->condition_per_item &&
        condition_eval(scratch, s->step->condition, scope, &holds, &why) != OK) {
        fail_item(w, item, why ? why : "the condition could not be evaluated");
        holds = false;
    } else if (!holds) {
        put_item_result(s, item, NULL);
    }
    talloc_free(scratch);
    return holds;
}

/* The item has ended in an earlier attempt. */
static bool item_is_over(const struct current_step *s, const struct stored_step *stored)
{
    return stored && stored->item >= 0 &&
           (stored->status == STEP_STATUS_COMPLETED ||
            (stored->status == STEP_STATUS_FAILED && s->step->continue_on_item_error));
}

static void restore_item(struct workflow_run *w, size_t item, const struct stored_step *stored)
{
    struct current_step *s = w->current_step;
    void *scratch = talloc_new(s);
    json_object *result = parse_stored_result(w, scratch, stored);
    if (stored->adopted)
        put_adopted_row(w, stored);
    if (stored->status == STEP_STATUS_FAILED)
        put_item_end(s, item, result, stored->error ? stored->error : "");
    else
        put_item_result(s, item, result);
    talloc_free(scratch);
}

static void begin_item(struct workflow_run *w, size_t item)
{
    struct current_step *s = w->current_step;
    struct template_scope scope = item_scope(w, item);
    int number = s->items ? (int)item : -1;
    const struct stored_step *stored = s->kind->evaluate ? NULL : find_stored_step(w, s->step->index, number);
    const char *why;
    if (item_is_over(s, stored)) {
        restore_item(w, item, stored);
    } else if (!item_condition_holds(w, item, &scope)) {
        return;
    } else if (s->kind->evaluate) {
        scope = item_scope(w, item);
        evaluate_item(w, item, &scope);
    } else if (action_new(&w->actions, s->step, number, scope.item, stored, &why)) {
        s->actions_running++;
    } else {
        fail_item(w, item, why);
    }
}

static bool can_begin_item(const struct workflow_run *w)
{
    const struct current_step *s = w->current_step;
    size_t limit = s->items && s->step->concurrency > 0 ? (size_t)s->step->concurrency : 1;
    if (s->error || s->next_item == s->count)
        return false;
    if (s->kind->evaluate)
        return true;
    return s->actions_running < limit && !w->run->exec->stopping;
}

/* Advances the current step. False: it continues when one of its actions ends. */
static bool advance_items(struct workflow_run *w)
{
    struct current_step *s = w->current_step;
    while (can_begin_item(w) && !turn_is_over(&w->turn))
        begin_item(w, s->next_item++);
    if (s->error) {
        actions_cancel(&w->actions);
        fail_step(w, s->step, s->error, s->reason);
        return true;
    }
    if (s->items_done == s->count) {
        complete_step(w);
        return true;
    }
    return can_begin_item(w);
}

/* --- steps --- */

static void copy_adopted_step(struct workflow_run *w, const struct program_step *step,
                              const struct stored_step *stored)
{
    put_adopted_row(w, stored);
    add_step_event(w, EVENT_STEP_ADOPTED, step, stored->error);
}

static void restore_step(struct workflow_run *w, const struct program_step *step,
                         const struct stored_step *stored)
{
    void *scratch = talloc_new(w);
    json_object *result = parse_stored_result(w, scratch, stored);
    if (stored->adopted)
        copy_adopted_step(w, step, stored);
    w->result_bytes += stored->result ? strlen(stored->result) : 0;
    w->scope_memory.tree_bytes += STEP_BYTES + json_tree_bytes(result);
    program_scope_put(w->actions.scope.steps, step->name, step_status_name(stored->status), result,
                      stored->error);
    talloc_free(scratch);
    w->step_index++;
    if (stored->status == STEP_STATUS_FAILED && !step->continue_on_error && handles_failure(w)) {
        const char *error = stored->error ? stored->error : "";
        note_failed_step(w, step);
        begin_failure(w, step, error, stored->reason ? stored->reason : REASON_STEP_FAILED,
                      talloc_asprintf(w, "step %s: %s", step->name, error));
    }
}

/* Evaluates the array that the step iterates over. False: it failed. */
static bool evaluate_for_each(struct workflow_run *w, const char **why_r)
{
    struct current_step *s = w->current_step;
    struct template_scope scope = step_scope(w);
    s->count = 1;
    if (s->step->for_each) {
        if (program_items(s, s->step, &scope, &s->items, why_r) != OK)
            return false;
        /* the scope may be dropped while actions wait */
        json_own(s, json_object_get(s->items));
        s->count = json_object_array_length(s->items);
        s->items_memory = s->kind->evaluate ? 0 : json_tree_bytes(s->items);
    }
    s->values = talloc_zero_array(s, json_object *, s->count + 1);
    return true;
}

static void begin_step(struct workflow_run *w, const struct program_step *step,
                       const struct stored_step *stored)
{
    struct current_step *s = w->current_step = talloc_zero(w, struct current_step);
    const char *why = NULL;
    talloc_set_destructor(s, current_step_free);
    s->step = step;
    s->kind = step_kind_of(step->type);
    s->started_ms = stored && stored->started_ms ? stored->started_ms : clock_wall_ms();
    if (!stored)
        add_step_event(w, EVENT_STEP_STARTED, step, NULL);
    if (!s->kind)
        fail_step(w, step, "this executor does not support this step type", REASON_INTERNAL);
    else if (!evaluate_for_each(w, &why))
        fail_step(w, step, why ? why : "for_each could not be evaluated", evaluation_reason(w));
    else if (!stored && s->items && !s->kind->evaluate)
        put_step_row(w, step, STEP_STATUS_RUNNING, NULL, NULL, REASON_NONE);
}

static void enter_step(struct workflow_run *w)
{
    const struct program_step *step = &w->program->steps[w->step_index];
    const struct stored_step *stored = find_stored_step(w, w->step_index, -1);
    bool holds = true;
    const char *why = NULL;
    if (stored && stored->status != STEP_STATUS_RUNNING) {
        restore_step(w, step, stored);
        return;
    }
    void *scratch = talloc_new(w);
    struct template_scope scope = step_scope(w);
    enum err e = OK;
    if (step->condition && !step->condition_per_item)
        e = condition_eval(scratch, step->condition, &scope, &holds, &why);
    if (e != OK)
        fail_step(w, step, why ? why : "the condition could not be evaluated", evaluation_reason(w));
    else if (!holds)
        skip_step(w, step);
    else
        begin_step(w, step, stored);
    talloc_free(scratch);
}

static void finish_workflow(struct workflow_run *w)
{
    struct template_scope scope = step_scope(w);
    void *scratch = talloc_new(w);
    json_object *output;
    const char *why = NULL;
    enum err e = program_outputs(scratch, w->program, &scope, &output, &why);
    if (e == OK) {
        run_succeed(w->run, json_text(output, NULL));
    } else {
        enum failure_reason reason = w->budget.exceeded ? REASON_LIMIT_EXCEEDED
                                     : e == ERR_LIMIT   ? REASON_OUTPUT_LIMIT
                                                        : REASON_OUTPUTS_INVALID;
        const char *error = talloc_asprintf(scratch, "outputs: %s", why ? why : "could not be rendered");
        if (handles_failure(w))
            begin_failure(w, NULL, error, reason, error);
        else
            run_fail(w->run, reason, error);
    }
    talloc_free(scratch);
}

/* --- advancing --- */

static void advance_steps(struct workflow_run *w)
{
    bool runnable = true;
    while (runnable && !w->run->ending) {
        if (turn_is_over(&w->turn)) {
            turn_request(&w->turn);
            return;
        }
        if (w->current_step)
            runnable = advance_items(w);
        else if (w->failure && w->step_index == w->program->step_count)
            run_fail(w->run, w->failure_reason, w->failure);
        else if (!w->failure && w->step_index == w->program->main_count)
            finish_workflow(w);
        else
            enter_step(w);
    }
}

/* False: the scope is not there; on_scope_returned goes on, or the run has failed. */
static bool restore_scope(struct workflow_run *w)
{
    enum err e = scope_memory_restore(&w->scope_memory, &w->actions.scope, &w->owner);
    w->awaits_scope = e == ERR_RETRY;
    if (w->awaits_scope)
        run_flush(w->run);
    else if (e != OK)
        run_fail(w->run, REASON_INTERNAL, "the executor has not enough memory for the run");
    return e == OK;
}

static void workflow_advance(struct workflow_run *w)
{
    struct active_run *run = w->run;
    if (run->ending || run->parking || w->advancing)
        return;
    if (w->scope_memory.job) {
        w->awaits_scope = true;
        return;
    }
    if (!slot_acquire(&run->slot))
        return;
    if (!turn_begin(&w->turn)) {
        run_flush(run);
        return;
    }
    if (!restore_scope(w)) {
        turn_end(&w->turn);
        return;
    }
    w->advancing = true; /* an action that ends at once calls back into this function */
    do {
        actions_run_ready(&w->actions, &w->turn);
        advance_steps(w);
    } while (!run->ending && !turn_is_queued(&w->turn) && actions_any_in(&w->actions, ACTION_READY));
    w->advancing = false;
    turn_end(&w->turn);
    run_count_memory(run);
    if (!run->ending && run->exec->stopping && !turn_is_queued(&w->turn) &&
        !actions_have_effect(&w->actions) && !actions_any_in(&w->actions, ACTION_WRITING))
        run_release(run);
    else
        run_flush(run);
}

static void on_action_progress(void *arg)
{
    workflow_advance(arg);
}

/* The trees are there again, or those of a run that waits are there no more. Such a run goes on if an action
 * has become ready meanwhile. */
static void on_scope_returned(void *arg)
{
    struct workflow_run *w = arg;
    struct slot *slot = &w->run->slot;
    size_t bytes = workflow_memory(w->run);
    if (w->scope_memory.inputs && bytes > slot->bytes)
        slot_add_bytes(slot, bytes - slot->bytes);
    if (!w->awaits_scope)
        return;
    w->awaits_scope = false;
    workflow_advance(w);
}

/* --- the kind of run --- */

static json_object *id_or_null(const id *i)
{
    return id_is_set(i) ? json_object_new_string(i->text) : NULL;
}

/* ${/execution/...}; lib/workflow knows the names as program_execution_fields. */
static json_object *execution_scope(struct workflow_run *w, const struct claimed_run *c)
{
    char at[CLOCK_TEXT_SIZE];
    json_object *e = json_own(w, json_object_new_object());
    json_object_object_add(e, "id", id_or_null(&c->run.id));
    json_object_object_add(e, "workflow_id", id_or_null(&c->run.responder_id));
    json_object_object_add(e, "workspace_id", id_or_null(&c->run.workspace_id));
    json_object_object_add(e, "parent_id", id_or_null(&c->run.parent_id));
    json_object_object_add(e, "root_id", id_or_null(&c->run.root_id));
    json_object_object_add(e, "created_at", json_object_new_string(clock_text_offset(id_ms(&c->run.id), at)));
    json_object_object_add(e, "tags", json_object_get(claim_json(w, c->tags, json_object_new_array())));
    json_object_object_add(e, "metadata",
                           json_object_get(claim_json(w, c->metadata, json_object_new_object())));
    json_object *extra = claim_json(w, c->extra, json_object_new_object());
    json_object_object_add(e, "scheduled_for", json_object_get(json_get(extra, "scheduled_for")));
    return e;
}

static int workflow_run_destroy(struct workflow_run *w)
{
    cached_program_unref(w->cached_program);
    return 0;
}

static bool starts_children(const struct program *program)
{
    for (size_t i = 0; i < program->step_count; i++) {
        if (program->steps[i].type == STEP_TYPE_WORKFLOW || program->steps[i].type == STEP_TYPE_SKILL)
            return true;
    }
    return false;
}

static void set_up_inputs(struct workflow_run *w, const struct claimed_run *c)
{
    size_t bytes = c->input ? strlen(c->input) : 0;
    for (size_t i = 0; i < c->steps_n; i++)
        bytes += c->steps[i].result ? strlen(c->steps[i].result) : 0;
    if (bytes > PARSED_AT_ONCE_MAX) {
        scope_memory_init_text(&w->scope_memory, w, c->input ? c->input : "{}");
        scope_memory_add_stored(&w->scope_memory, w->stored_steps, w->stored_steps_n);
        return;
    }
    void *scratch = talloc_new(w);
    scope_memory_init(&w->scope_memory, w, &w->actions.scope,
                      claim_json(scratch, c->input, json_object_new_object()));
    talloc_free(scratch);
}

static void workflow_init(struct active_run *run, const struct claimed_run *c)
{
    struct workflow_run *w = talloc_zero(run, struct workflow_run);
    run->state = w;
    w->run = run;
    w->turn = (struct turn){.turns = run->exec->turns,
                            .workspace_id = run->row.workspace_id,
                            .on_turn = on_action_progress,
                            .arg = w};
    w->owner = (struct scope_owner){.compute = run->exec->compute,
                                    .memory = &run->exec->memory,
                                    .workspace_id = run->row.workspace_id,
                                    .on_returned = on_scope_returned,
                                    .arg = w};
    w->cached_program = c->program ? cached_program_ref(c->program) : NULL;
    w->program = c->program ? cached_program_compiled(c->program) : NULL;
    w->stored_steps = claim_steps(w, c);
    w->stored_steps_n = c->steps_n;
    w->adoption_lost = c->adoption_lost;
    if (w->program && !starts_children(w->program))
        run->may_have_children = false;
    w->actions = (struct action_group){
        .run = run,
        .program = w->program,
        .cached_program = w->cached_program,
        .scope = {.execution = execution_scope(w, c), .budget = &w->budget},
        .signals = claim_signals(w, c),
        .signals_n = c->signals_n,
        .on_end = on_action_end,
        .on_progress = on_action_progress,
        .arg = w,
    };
    set_up_inputs(w, c);
    TAILQ_INIT(&w->actions.actions);
    talloc_set_destructor(w, workflow_run_destroy);
}

static const char *workflow_unusable(const struct active_run *run)
{
    const struct workflow_run *w = run->state;
    if (!w->program)
        return "the workflow's program could not be loaded: it is missing, or not one that this version of "
               "Millrace compiles";
    return w->adoption_lost ? "the run that is retried was purged, and its steps cannot be adopted any more"
                            : NULL;
}

static void workflow_resume(struct active_run *run)
{
    workflow_advance(run->state);
}

static void workflow_on_written(struct active_run *run, const struct commit *c)
{
    struct workflow_run *w = run->state;
    actions_on_written(&w->actions, c);
    workflow_advance(w);
}

/* The step that an earlier attempt had begun, of a run that fails before it goes on with it; NULL: none. */
static const struct program_step *find_begun_step(const struct workflow_run *w)
{
    for (size_t i = 0; w->program && i < w->stored_steps_n; i++) {
        const struct stored_step *s = &w->stored_steps[i];
        if (s->item == -1 && s->status == STEP_STATUS_RUNNING && s->step >= 0 &&
            (size_t)s->step >= w->step_index && (size_t)s->step < w->program->step_count)
            return &w->program->steps[s->step];
    }
    return NULL;
}

/* As workflow_abort_step does with a step that this attempt has begun, and with its actions. */
static void abort_begun_step(struct workflow_run *w, const char *error)
{
    const struct program_step *step = find_begun_step(w);
    for (size_t i = 0; step && i < w->stored_steps_n; i++) {
        const struct stored_step *s = &w->stored_steps[i];
        struct run_step row = {.step = s->step,
                               .item = s->item,
                               .status = STEP_STATUS_FAILED,
                               .tries = s->tries,
                               .answers = s->answers,
                               .started_ms = s->started_ms,
                               .completed_ms = clock_wall_ms(),
                               .error = error};
        if (s->step == (int)step->index && s->item >= 0 && s->status == STEP_STATUS_RUNNING)
            commit_put_step(run_pending_commit(w->run), &row);
    }
    if (!step)
        return;
    note_failed_step(w, step);
    put_step_row(w, step, STEP_STATUS_FAILED, NULL, error, REASON_NONE);
    add_step_event(w, EVENT_STEP_FAILED, step, error);
}

static void workflow_abort_step(struct active_run *run, const char *error)
{
    struct workflow_run *w = run->state;
    if (!w->current_step && !w->step_aborted)
        abort_begun_step(w, error);
    if (!w->current_step || w->step_aborted)
        return;
    int tries = actions_abort(&w->actions, error);
    if (tries > w->current_step->last_tries)
        w->current_step->last_tries = tries;
    note_failed_step(w, w->current_step->step);
    put_step_row(w, w->current_step->step, STEP_STATUS_FAILED, NULL, error, REASON_NONE);
    add_step_event(w, EVENT_STEP_FAILED, w->current_step->step, error);
}

static void workflow_cancel(struct active_run *run)
{
    struct workflow_run *w = run->state;
    actions_cancel(&w->actions);
}

static bool workflow_has_inflight_effect(const struct active_run *run)
{
    const struct workflow_run *w = run->state;
    return actions_have_effect(&w->actions);
}

static bool workflow_can_yield(const struct active_run *run)
{
    const struct workflow_run *w = run->state;
    const struct action *a;
    if (w->awaits_scope)
        return false;
    if (w->advancing)
        return false; /* more items may begin; workflow_advance asks again when it is done */
    if (turn_is_queued(&w->turn))
        return false;
    TAILQ_FOREACH(a, &w->actions.actions, link)
    {
        if (a->phase != ACTION_WAITING && a->phase != ACTION_IN_FLIGHT)
            return false;
    }
    return !TAILQ_EMPTY(&w->actions.actions);
}

static bool workflow_find_wait(const struct active_run *run, void *ctx, struct run_wait *wait_r)
{
    const struct workflow_run *w = run->state;
    return !w->advancing && !w->awaits_scope && !turn_is_queued(&w->turn) && w->current_step &&
           !can_begin_item(w) && actions_find_wait(&w->actions, ctx, wait_r);
}

static void workflow_prepare_park(struct active_run *run)
{
    struct workflow_run *w = run->state;
    actions_prepare_park(&w->actions);
}

static size_t workflow_memory(const struct active_run *run)
{
    const struct workflow_run *w = run->state;
    const struct current_step *s = w->current_step;
    size_t items = s && w->scope_memory.inputs ? s->items_memory : 0; /* else they are part of the scope */
    size_t bytes = RUN_BYTES + scope_memory_bytes(&w->scope_memory) + items + (s ? s->values_memory : 0);
    const struct action *a;
    TAILQ_FOREACH(a, &w->actions.actions, link)
    {
        bytes += a->memory;
    }
    return bytes;
}

static void workflow_save_memory(struct active_run *run)
{
    struct workflow_run *w = run->state;
    if (w->scope_memory.tree_bytes <= SCOPE_KEPT_BYTES)
        return;
    int64_t began_us = clock_boot_us();
    scope_memory_drop(&w->scope_memory, &w->actions.scope, &w->owner);
    turn_charge(&w->turn, began_us);
}

static void workflow_leave(struct active_run *run)
{
    struct workflow_run *w = run->state;
    turn_cancel(&w->turn);
    run->state = NULL;
    scope_memory_leave(&w->scope_memory, w, run->slot.bytes, &w->owner);
}

const struct run_kind workflow_run_kind = {
    .begins_in_claim = true,
    .init = workflow_init,
    .unusable = workflow_unusable,
    .begin = workflow_resume,
    .resume = workflow_resume,
    .on_written = workflow_on_written,
    .abort_step = workflow_abort_step,
    .cancel = workflow_cancel,
    .has_inflight_effect = workflow_has_inflight_effect,
    .can_yield = workflow_can_yield,
    .memory = workflow_memory,
    .find_wait = workflow_find_wait,
    .prepare_park = workflow_prepare_park,
    .save_memory = workflow_save_memory,
    .leave = workflow_leave,
};
