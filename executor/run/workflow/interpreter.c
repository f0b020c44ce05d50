#include "executor/run/workflow/interpreter.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"

enum {
    TURN_US = 20000,  /* one run's share of the loop before others have theirs */
    ITEMS_A_TURN = 64 /* items of a for_each begun between two looks at the clock */
};

static const char result_too_large[] = "the result is larger than 256 KiB, or nested too deeply";

/* The step in hand. A talloc context, gone with the step. */
struct stage {
    const struct program_step *step;
    const struct step_kind *kind;
    json_object *items; /* of a for_each; NULL: the step runs once */
    size_t count;       /* of items, or 1 */
    size_t next;        /* item to begin */
    size_t done;
    size_t live;          /* acts */
    size_t bytes;         /* of the values of a for_each so far */
    int last_tries;       /* of the one act that has ended */
    json_object **values; /* by item; references of ours */
    int64_t started_ms;
    const char *error; /* it has failed */
    enum failure_reason reason;
};

static struct template_scope flow_scope(const struct flow *f)
{
    return (struct template_scope){.inputs = f->inputs, .steps = f->steps, .execution = f->execution};
}

static struct template_scope item_scope(const struct flow *f, size_t item)
{
    struct template_scope scope = flow_scope(f);
    scope.in_loop = f->stage->items != NULL;
    if (scope.in_loop) {
        scope.item = json_object_array_get_idx(f->stage->items, item);
        scope.index = (int64_t)item;
    }
    return scope;
}

static int compare_places(const void *key, const void *member)
{
    const struct stored_step *a = key;
    const struct stored_step *b = member;
    return a->step != b->step ? a->step - b->step : a->item - b->item;
}

/* The rows come in program order. */
static const struct stored_step *stored_at(const struct flow *f, size_t step, int item)
{
    struct stored_step key = {.step = (int)step, .item = item};
    return f->stored_n > 0 ? bsearch(&key, f->stored, f->stored_n, sizeof key, compare_places) : NULL;
}

static json_object *stored_value(void *ctx, const struct stored_step *s)
{
    json_object *value = NULL;
    const char *why;
    if (s->result &&
        json_parse(ctx, s->result, strlen(s->result), TEMPLATE_DEPTH_MAX + 1, &value, &why) != OK)
        return NULL;
    return value;
}

/* --- rows and events --- */

static void step_event(struct flow *f, enum event_type type, const struct program_step *step,
                       const char *error)
{
    json_object *data = json_object_new_object();
    json_object_object_add(data, "index", json_object_new_int((int)step->index));
    json_object_object_add(data, "name", json_object_new_string(step->name));
    json_object_object_add(data, "step_type", json_object_new_string(step->type_name));
    if (error)
        json_object_object_add(data, "error", json_object_new_string(error));
    commit_event(flow_open(f), type, clock_wall_ms(), json_text(data, NULL));
    json_object_put(data);
}

static void step_row(struct flow *f, const struct program_step *step, enum step_status status,
                     const char *result, const char *error)
{
    const struct stage *s = f->stage;
    const struct stored_step *stored = stored_at(f, step->index, -1);
    struct run_step row = {.step = (int)step->index,
                           .item = -1,
                           .status = status,
                           .tries = status == STEP_SKIPPED    ? 0
                                    : stored && stored->tries ? stored->tries
                                                              : 1,
                           .started_ms = s ? s->started_ms : clock_wall_ms(),
                           .completed_ms = status == STEP_RUNNING ? 0 : clock_wall_ms(),
                           .result = result,
                           .error = error};
    if (s && s->last_tries > row.tries)
        row.tries = s->last_tries;
    commit_step(flow_open(f), &row);
}

/* --- the end of a step --- */

static int stage_free(struct stage *s)
{
    for (size_t i = 0; s->values && i < s->count; i++)
        json_object_put(s->values[i]);
    return 0;
}

static void next_step(struct flow *f)
{
    talloc_free(f->stage);
    f->stage = NULL;
    f->at++;
}

static void drop_acts(struct flow *f)
{
    while (f->acts)
        act_drop(f->acts);
}

static void fail_step(struct flow *f, const struct program_step *step, const char *error,
                      enum failure_reason reason)
{
    if (!f->stage)
        step_event(f, EVENT_STEP_STARTED, step, NULL);
    step_row(f, step, STEP_FAILED, NULL, error);
    step_event(f, EVENT_STEP_FAILED, step, error);
    if (step->continue_on_error) {
        program_scope_put(f->steps, step->name, "failed", NULL, error);
        drop_acts(f);
        next_step(f);
        return;
    }
    char *sentence = talloc_asprintf(f, "step %s: %s", step->name, error);
    f->broken_off = true;
    flow_fail(f, reason, sentence);
}

static void complete_step(struct flow *f)
{
    struct stage *s = f->stage;
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
        fail_step(f, step, result_too_large, REASON_STEP_FAILED);
        return;
    }
    f->result_bytes += size;
    step_row(f, step, STEP_COMPLETED, json_text(result, NULL), NULL);
    step_event(f, EVENT_STEP_SUCCEEDED, step, NULL);
    program_scope_put(f->steps, step->name, "completed", result, NULL);
    next_step(f);
    if (f->result_bytes > PROGRAM_RUN_MAX)
        flow_fail(f, REASON_OUTPUT_LIMIT, "the results of the run's steps are larger than 4 MiB together");
}

static void skip_step(struct flow *f, const struct program_step *step)
{
    step_row(f, step, STEP_SKIPPED, NULL, NULL);
    step_event(f, EVENT_STEP_SKIPPED, step, NULL);
    program_scope_put(f->steps, step->name, "skipped", NULL, NULL);
    next_step(f);
}

/* --- items --- */

/* The array of a for_each has the limit of any result, and is weighed while it grows: ten thousand items of
 * 256 KiB each are not to be held first. */
static void item_value(struct stage *s, size_t item, json_object *value)
{
    s->values[item] = json_object_get(value);
    s->done++;
    if (!s->items || s->error)
        return;
    size_t size = template_json_size(value, PROGRAM_RESULT_MAX);
    s->bytes = size == SIZE_MAX ? size : s->bytes + size;
    if (s->bytes > PROGRAM_RESULT_MAX) {
        s->error = result_too_large;
        s->reason = REASON_STEP_FAILED;
    }
}

void workflow_item_done(struct flow *f, int item, int tries, json_object *result)
{
    struct stage *s = f->stage;
    s->live--;
    if (item < 0)
        s->last_tries = tries;
    item_value(s, item < 0 ? 0 : (size_t)item, result);
}

void workflow_item_failed(struct flow *f, int item, int tries, const char *error, enum failure_reason reason)
{
    struct stage *s = f->stage;
    s->live--;
    if (item < 0)
        s->last_tries = tries;
    if (s->error)
        return;
    s->error = item < 0 ? error : talloc_asprintf(s, "item %d: %s", item, error);
    s->reason = reason;
}

static void stage_fail(struct stage *s, size_t item, const char *error)
{
    if (!s->error)
        s->error = s->items ? talloc_asprintf(s, "item %zu: %s", item, error) : talloc_strdup(s, error);
    s->reason = REASON_STEP_FAILED;
}

/* The result of a kind that has no side effect: had at once. */
static void evaluate_item(struct flow *f, size_t item, const struct template_scope *scope)
{
    struct stage *s = f->stage;
    void *scratch = talloc_new(s);
    json_object *value = NULL;
    const char *why = NULL;
    enum err e = s->kind->evaluate(scratch, s->step, scope, &value, &why);
    if (e == OK)
        item_value(s, item, value);
    else
        stage_fail(s, item, why ? why : "cannot be done");
    talloc_free(scratch);
}

/* Whether this item is to be done; an `if` of its own may say no, or fail. */
static bool item_wanted(struct flow *f, size_t item, const struct template_scope *scope)
{
    struct stage *s = f->stage;
    bool holds = true;
    const char *why = NULL;
    void *scratch = talloc_new(s);
    if (s->step->condition && s->step->condition_per_item &&
        condition_eval(scratch, s->step->condition, scope, &holds, &why) != OK) {
        stage_fail(s, item, why ? why : "the condition cannot be evaluated");
        holds = false;
    } else if (!holds) {
        item_value(s, item, NULL);
    }
    talloc_free(scratch);
    return holds;
}

static void begin_item(struct flow *f, size_t item)
{
    struct stage *s = f->stage;
    struct template_scope scope = item_scope(f, item);
    int number = s->items ? (int)item : -1;
    const struct stored_step *stored = s->kind->evaluate ? NULL : stored_at(f, s->step->index, number);
    const char *why;
    if (stored && stored->status == STEP_COMPLETED && number >= 0) {
        void *scratch = talloc_new(s);
        item_value(s, item, stored_value(scratch, stored));
        talloc_free(scratch);
    } else if (!item_wanted(f, item, &scope)) {
        return;
    } else if (s->kind->evaluate) {
        evaluate_item(f, item, &scope);
    } else if (act_new(f, s->step, number, scope.item, stored, &why)) {
        s->live++;
    } else {
        stage_fail(s, item, why);
    }
}

static bool may_begin(const struct flow *f)
{
    const struct stage *s = f->stage;
    size_t limit = s->items && s->step->concurrency > 0 ? (size_t)s->step->concurrency : 1;
    if (s->error || s->next == s->count)
        return false;
    if (s->kind->evaluate)
        return true;
    return s->live < limit && !f->x->stopping;
}

/* Goes on with the step in hand. False: its acts have to end first. */
static bool stage_turn(struct flow *f)
{
    struct stage *s = f->stage;
    for (int n = 0; n < ITEMS_A_TURN && may_begin(f); n++)
        begin_item(f, s->next++);
    if (s->error) {
        drop_acts(f);
        fail_step(f, s->step, s->error, s->reason);
        return true;
    }
    if (s->done == s->count) {
        complete_step(f);
        return true;
    }
    return may_begin(f);
}

/* --- steps --- */

static void restore_step(struct flow *f, const struct program_step *step, const struct stored_step *stored)
{
    void *scratch = talloc_new(f);
    json_object *result = stored_value(scratch, stored);
    f->result_bytes += stored->result ? strlen(stored->result) : 0;
    program_scope_put(f->steps, step->name, step_status_name(stored->status), result, stored->error);
    talloc_free(scratch);
    f->at++;
}

/* Looks up what the step goes over. */
static bool stage_items(struct flow *f, const char **why_r)
{
    struct stage *s = f->stage;
    struct template_scope scope = flow_scope(f);
    s->count = 1;
    if (s->step->for_each) {
        if (program_items(s, s->step, &scope, &s->items, why_r) != OK)
            return false;
        s->count = json_object_array_length(s->items);
    }
    s->values = talloc_zero_array(s, json_object *, s->count + 1);
    return true;
}

static void begin_stage(struct flow *f, const struct program_step *step, const struct stored_step *stored)
{
    struct stage *s = f->stage = talloc_zero(f, struct stage);
    const char *why = NULL;
    talloc_set_destructor(s, stage_free);
    s->step = step;
    s->kind = step_kind_of(step->type);
    s->started_ms = stored && stored->started_ms ? stored->started_ms : clock_wall_ms();
    if (!stored)
        step_event(f, EVENT_STEP_STARTED, step, NULL);
    if (!s->kind)
        fail_step(f, step, "this executor does not know this type of step", REASON_INTERNAL);
    else if (!stage_items(f, &why))
        fail_step(f, step, why ? why : "for_each cannot be evaluated", REASON_STEP_FAILED);
    else if (!stored && s->items && !s->kind->evaluate)
        step_row(f, step, STEP_RUNNING, NULL, NULL);
}

static void enter_step(struct flow *f)
{
    const struct program_step *step = &f->program->steps[f->at];
    const struct stored_step *stored = stored_at(f, f->at, -1);
    bool holds = true;
    const char *why = NULL;
    if (stored && stored->status != STEP_RUNNING) {
        restore_step(f, step, stored);
        return;
    }
    void *scratch = talloc_new(f);
    struct template_scope scope = flow_scope(f);
    enum err e = OK;
    if (step->condition && !step->condition_per_item)
        e = condition_eval(scratch, step->condition, &scope, &holds, &why);
    if (e != OK)
        fail_step(f, step, why ? why : "the condition cannot be evaluated", REASON_STEP_FAILED);
    else if (!holds)
        skip_step(f, step);
    else
        begin_stage(f, step, stored);
    talloc_free(scratch);
}

static void finish(struct flow *f)
{
    struct template_scope scope = flow_scope(f);
    void *scratch = talloc_new(f);
    json_object *output;
    const char *why = NULL;
    enum err e = program_outputs(scratch, f->program, &scope, &output, &why);
    if (e == OK)
        flow_succeed(f, json_text(output, NULL));
    else
        flow_fail(f, e == ERR_LIMIT ? REASON_OUTPUT_LIMIT : REASON_OUTPUTS_INVALID,
                  talloc_asprintf(scratch, "outputs: %s", why ? why : "cannot be made"));
    talloc_free(scratch);
}

/* --- from outside --- */

static void run_woken(struct flow *f)
{
    struct act *a = f->acts;
    while (a && !f->ending) {
        if (a->phase != ACT_WOKEN) {
            a = a->next;
            continue;
        }
        a->phase = ACT_GOING;
        a->then(a);
        a = f->acts; /* any of them may have ended */
    }
}

static bool has_woken(const struct flow *f)
{
    for (const struct act *a = f->acts; a; a = a->next) {
        if (a->phase == ACT_WOKEN)
            return true;
    }
    return false;
}

static bool is_idle(const struct flow *f)
{
    for (const struct act *a = f->acts; a; a = a->next) {
        if (a->phase == ACT_GOING || a->phase == ACT_WRITING)
            return false;
    }
    return true;
}

static void take_turns(struct flow *f)
{
    int64_t until_us = clock_boot_us() + TURN_US;
    bool going = true;
    while (going && !f->ending) {
        if (f->stage)
            going = stage_turn(f);
        else if (f->at == f->program->step_count)
            finish(f);
        else
            enter_step(f);
        if (going && !f->ending && clock_boot_us() > until_us) {
            timer_set(f->x->timers, &f->go_on, clock_boot_ms());
            going = false;
        }
    }
}

void workflow_go_on(struct flow *f)
{
    if (f->ending || f->in_turn || !flow_take_slot(f))
        return;
    f->in_turn = true; /* acts that end at once come back to here */
    do {
        run_woken(f);
        take_turns(f);
    } while (!f->ending && !timer_is_set(&f->go_on) && has_woken(f));
    f->in_turn = false;
    if (!f->ending && f->x->stopping && !timer_is_set(&f->go_on) && is_idle(f))
        flow_hand_back(f);
    else
        flow_submit(f);
}

void workflow_begin(struct flow *f)
{
    workflow_go_on(f);
}

void workflow_written(struct flow *f, const struct commit *c)
{
    for (struct act *a = f->acts; a; a = a->next) {
        if (a->needs == c)
            act_written(a);
    }
    workflow_go_on(f);
}

void workflow_break_off(struct flow *f, const char *error)
{
    if (!f->stage || f->broken_off)
        return;
    step_row(f, f->stage->step, STEP_FAILED, NULL, error);
    step_event(f, EVENT_STEP_FAILED, f->stage->step, error);
}

/* --- as a kind of flow --- */

static bool in_the_middle(const struct flow *f)
{
    for (const struct act *a = f->acts; a; a = a->next) {
        if (a->phase == ACT_GOING)
            return true;
    }
    return false;
}

static bool may_rest(const struct flow *f)
{
    for (const struct act *a = f->acts; a; a = a->next) {
        if (a->phase != ACT_WAITING)
            return false;
    }
    return f->acts != NULL;
}

static void deadline(struct flow *f)
{
    flow_fail(f, REASON_TIMEOUT, "the run took longer than it may");
}

const struct flow_kind workflow_kind = {
    .begin = workflow_begin,
    .begins_with_claim = true,
    .go_on = workflow_go_on,
    .written = workflow_written,
    .break_off = workflow_break_off,
    .drop = drop_acts,
    .in_the_middle = in_the_middle,
    .may_rest = may_rest,
    .deadline = deadline,
};
