#include "executor/run/workflow/action.h"

#include <sodium.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "executor/run/workflow/interpreter.h"

const struct step_kind *step_kind_of(enum step_type type)
{
    switch (type) {
    case STEP_HTTP:
        return &step_http;
    case STEP_TRANSFORM:
        return &step_transform;
    case STEP_DELAY:
        return &step_delay;
    case STEP_FAIL:
        return &step_fail;
    case STEP_WORKFLOW:
        return &step_workflow;
    case STEP_SKILL:
        return &step_skill;
    }
    return NULL; /* this executor knows no such step */
}

struct template_scope act_scope(const struct act *a)
{
    return (struct template_scope){
        .inputs = a->flow->inputs,
        .steps = a->flow->steps,
        .execution = a->flow->execution,
        .in_loop = a->item >= 0,
        .item = a->item_value,
        .index = a->item,
    };
}

/* The row of an act that is still at it. */
static void write_running(struct act *a)
{
    struct run_step row = {.step = (int)a->step->index,
                           .item = a->item,
                           .status = STEP_RUNNING,
                           .tries = a->tries,
                           .answers = a->answers,
                           .due_ms = a->due_ms,
                           .started_ms = a->started_ms};
    a->needs = flow_open(a->flow);
    a->phase = ACT_WRITING;
    commit_step(a->needs, &row);
}

static void write_end(struct act *a, enum step_status status, json_object *result, const char *error)
{
    struct run_step row = {.step = (int)a->step->index,
                           .item = a->item,
                           .status = status,
                           .tries = a->tries,
                           .answers = a->answers,
                           .started_ms = a->started_ms,
                           .completed_ms = clock_wall_ms(),
                           .result = status == STEP_COMPLETED ? json_text(result, NULL) : NULL,
                           .error = error};
    commit_step(flow_open(a->flow), &row);
}

/* --- waiting and going --- */

void act_due_in(struct act *a, int64_t delay_ms)
{
    a->due_ms = clock_wall_ms() + delay_ms;
    a->due_boot_ms = clock_boot_ms() + delay_ms;
}

static void stop_work(struct act *a)
{
    timer_clear(a->flow->x->timers, &a->wait);
    timer_clear(a->flow->x->timers, &a->timeout);
    if (a->started && a->kind->cancel)
        a->kind->cancel(a);
    a->started = false;
}

static void go(struct act *a)
{
    if (!executor_may_act(a->flow->x) || a->flow->x->stopping) {
        a->phase = ACT_WAITING; /* it is about to be dropped, or handed back */
        return;
    }
    a->phase = ACT_GOING;
    a->started = true;
    if (a->step->timeout_ms > 0 && !timer_is_set(&a->timeout))
        timer_set(a->flow->x->timers, &a->timeout, clock_boot_ms() + a->step->timeout_ms);
    crash_point("step.before_effect");
    a->kind->start(a);
}

static void time_out(struct act *a)
{
    struct act_failure failure = {
        .error = talloc_asprintf(a, "took longer than %.10g s", (double)a->step->timeout_ms / 1000),
        .retry = true};
    act_fail(a, &failure);
}

static void on_timeout(void *arg)
{
    act_wake(arg, time_out);
}

static void on_due(void *arg)
{
    act_wake(arg, go);
}

void act_written(struct act *a)
{
    a->needs = NULL;
    if (a->due_boot_ms <= clock_boot_ms()) {
        a->phase = ACT_WOKEN;
        a->then = go;
        return;
    }
    a->phase = ACT_WAITING;
    timer_set(a->flow->x->timers, &a->wait, a->due_boot_ms);
    if (a->step->timeout_ms > 0 && a->kind->waits_first)
        timer_set(a->flow->x->timers, &a->timeout, clock_boot_ms() + a->step->timeout_ms);
}

void act_wait(struct act *a)
{
    a->phase = ACT_WAITING;
    flow_rest(a->flow);
}

void act_wake(struct act *a, void (*then)(struct act *a))
{
    a->phase = ACT_WOKEN;
    a->then = then;
    workflow_go_on(a->flow);
}

/* --- beginning and end --- */

static enum err prepare(struct act *a, const char **why_r)
{
    if (a->due_ms > 0 || !a->kind->prepare)
        return OK;
    return a->kind->prepare(a, why_r);
}

struct act *act_new(struct flow *f, const struct program_step *step, int item, json_object *item_value,
                    const struct stored_step *stored, const char **why_r)
{
    struct act *a = talloc_zero(f, struct act);
    a->flow = f;
    a->step = step;
    a->kind = step_kind_of(step->type);
    a->item = item;
    a->item_value = item_value;
    a->tries = stored ? stored->tries : 1;
    a->answers = stored ? stored->answers : 0;
    if (stored && stored->due_ms > 0) {
        a->due_ms = stored->due_ms;
        a->due_boot_ms = clock_boot_ms() + stored->due_ms - clock_wall_ms();
    }
    a->started_ms = stored && stored->started_ms ? stored->started_ms : clock_wall_ms();
    a->resumed = stored != NULL;
    a->wait = (struct timer){.fire = on_due, .arg = a};
    a->timeout = (struct timer){.fire = on_timeout, .arg = a};
    if (prepare(a, why_r) != OK) {
        *why_r = talloc_strdup(f, *why_r);
        talloc_free(a);
        return NULL;
    }
    write_running(a);
    struct act **end = &f->acts;
    while (*end)
        end = &(*end)->next;
    *end = a;
    return a;
}

void act_drop(struct act *a)
{
    struct act **p = &a->flow->acts;
    stop_work(a);
    while (*p != a)
        p = &(*p)->next;
    *p = a->next;
    talloc_free(a);
}

void act_succeed(struct act *a, json_object *result)
{
    struct flow *f = a->flow;
    crash_point("step.after_effect");
    if (template_json_size(result, PROGRAM_RESULT_MAX) == SIZE_MAX) {
        struct act_failure failure = {.error = "the result is larger than 256 KiB, or nested too deeply"};
        act_fail(a, &failure);
        return;
    }
    int item = a->item;
    int tries = a->tries;
    a->started = false;
    if (item >= 0)
        write_end(a, STEP_COMPLETED, result, NULL);
    json_object_get(result);
    act_drop(a);
    workflow_item_done(f, item, tries, result);
    json_object_put(result);
    workflow_go_on(f);
}

static void try_again(struct act *a, const struct act_failure *failure)
{
    double random = randombytes_uniform(1000) / 1000.0;
    int64_t delay_ms = program_backoff_ms(a->step, a->tries, random);
    int64_t most_ms = PROGRAM_BACKOFF_SECONDS_MAX * 1000L;
    if (delay_ms < failure->retry_after_ms)
        delay_ms = failure->retry_after_ms < most_ms ? failure->retry_after_ms : most_ms;
    a->tries++;
    a->answers += failure->answered;
    act_due_in(a, delay_ms);
    a->resumed = false;
    write_running(a);
    workflow_go_on(a->flow);
}

void act_fail(struct act *a, const struct act_failure *failure)
{
    struct flow *f = a->flow;
    stop_work(a);
    if (failure->retry && a->tries < a->step->max_attempts) {
        try_again(a, failure);
        return;
    }
    const char *error = talloc_strdup(f, failure->error);
    int item = a->item;
    int tries = a->tries;
    enum failure_reason reason = failure->reason ? failure->reason : REASON_STEP_FAILED;
    if (a->item >= 0)
        write_end(a, STEP_FAILED, NULL, error);
    act_drop(a);
    workflow_item_failed(f, item, tries, error, reason);
    workflow_go_on(f);
}
