#include "executor/run/workflow/action.h"

#include <sodium.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "executor/run/workflow/interpreter.h"
#include "workflow/program_eval.h"

const struct step_kind *step_kind_of(enum step_type type)
{
    switch (type) {
    case STEP_TYPE_HTTP:
        return &step_http;
    case STEP_TYPE_TRANSFORM:
        return &step_transform;
    case STEP_TYPE_DELAY:
        return &step_delay;
    case STEP_TYPE_FAIL:
        return &step_fail;
    case STEP_TYPE_WORKFLOW:
        return &step_workflow;
    case STEP_TYPE_SKILL:
        return &step_skill;
    }
    return NULL; /* this executor knows no such step */
}

struct template_scope action_scope(const struct action *a)
{
    return (struct template_scope){
        .inputs = a->run->inputs,
        .steps = a->run->steps,
        .execution = a->run->execution,
        .in_loop = a->item >= 0,
        .item = a->item_value,
        .index = a->item,
    };
}

/* The row of an act that is still at it. */
static void put_running_row(struct action *a)
{
    struct run_step row = {.step = (int)a->step->index,
                           .item = a->item,
                           .status = STEP_STATUS_RUNNING,
                           .tries = a->tries,
                           .answers = a->answers,
                           .due_ms = a->due_ms,
                           .started_ms = a->started_ms};
    a->awaited_commit = run_pending_commit(a->run);
    a->phase = ACTION_WRITING;
    commit_put_step(a->awaited_commit, &row);
}

static void put_end_row(struct action *a, enum step_status status, json_object *result, const char *error)
{
    struct run_step row = {.step = (int)a->step->index,
                           .item = a->item,
                           .status = status,
                           .tries = a->tries,
                           .answers = a->answers,
                           .started_ms = a->started_ms,
                           .completed_ms = clock_wall_ms(),
                           .result = status == STEP_STATUS_COMPLETED ? json_text(result, NULL) : NULL,
                           .error = error};
    commit_put_step(run_pending_commit(a->run), &row);
}

/* --- waiting and going --- */

void action_set_due_in(struct action *a, int64_t delay_ms)
{
    a->due_ms = clock_wall_ms() + delay_ms;
    a->due_boot_ms = clock_boot_ms() + delay_ms;
}

static void stop_action(struct action *a)
{
    timer_clear(a->run->exec->timers, &a->wait_timer);
    timer_clear(a->run->exec->timers, &a->timeout_timer);
    if (a->started && a->kind->cancel)
        a->kind->cancel(a);
    a->started = false;
}

static void start_action(struct action *a)
{
    if (!executor_holds_lease(a->run->exec) || a->run->exec->stopping) {
        a->phase = ACTION_WAITING; /* it is about to be dropped, or handed back */
        return;
    }
    a->phase = ACTION_RUNNING;
    a->started = true;
    if (a->step->timeout_ms > 0 && !timer_is_set(&a->timeout_timer))
        timer_set(a->run->exec->timers, &a->timeout_timer, clock_boot_ms() + a->step->timeout_ms);
    failpoint("step.before_effect");
    a->kind->start(a);
}

static void fail_timed_out(struct action *a)
{
    struct action_failure failure = {
        .error = talloc_asprintf(a, "took longer than %.10g s", (double)a->step->timeout_ms / 1000),
        .retry = true};
    action_fail(a, &failure);
}

static void on_action_timeout(void *arg)
{
    action_wake(arg, fail_timed_out);
}

static void on_action_due(void *arg)
{
    action_wake(arg, start_action);
}

void action_on_written(struct action *a)
{
    a->awaited_commit = NULL;
    if (a->due_boot_ms <= clock_boot_ms()) {
        a->phase = ACTION_READY;
        a->on_ready = start_action;
        return;
    }
    a->phase = ACTION_WAITING;
    timer_set(a->run->exec->timers, &a->wait_timer, a->due_boot_ms);
    if (a->step->timeout_ms > 0 && a->kind->waits_first)
        timer_set(a->run->exec->timers, &a->timeout_timer, clock_boot_ms() + a->step->timeout_ms);
}

void action_wait(struct action *a)
{
    a->phase = ACTION_WAITING;
    run_yield_slot(a->run);
}

void action_wake(struct action *a, void (*on_ready)(struct action *a))
{
    a->phase = ACTION_READY;
    a->on_ready = on_ready;
    workflow_resume(a->run);
}

/* --- beginning and end --- */

static enum err prepare_action(struct action *a, const char **why_r)
{
    if (a->due_ms > 0 || !a->kind->prepare)
        return OK;
    return a->kind->prepare(a, why_r);
}

struct action *action_new(struct active_run *run, const struct program_step *step, int item,
                          json_object *item_value, const struct stored_step *stored, const char **why_r)
{
    struct action *a = talloc_zero(run, struct action);
    a->run = run;
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
    a->wait_timer = (struct timer){.fire = on_action_due, .arg = a};
    a->timeout_timer = (struct timer){.fire = on_action_timeout, .arg = a};
    if (prepare_action(a, why_r) != OK) {
        *why_r = talloc_strdup(run, *why_r);
        talloc_free(a);
        return NULL;
    }
    put_running_row(a);
    struct action **end = &run->actions;
    while (*end)
        end = &(*end)->next;
    *end = a;
    return a;
}

void action_cancel(struct action *a)
{
    struct action **p = &a->run->actions;
    stop_action(a);
    while (*p != a)
        p = &(*p)->next;
    *p = a->next;
    talloc_free(a);
}

void action_succeed(struct action *a, json_object *result)
{
    struct active_run *run = a->run;
    failpoint("step.after_effect");
    if (template_json_size(result, PROGRAM_RESULT_MAX) == SIZE_MAX) {
        struct action_failure failure = {.error = "the result is larger than 256 KiB, or nested too deeply"};
        action_fail(a, &failure);
        return;
    }
    int item = a->item;
    int tries = a->tries;
    a->started = false;
    if (item >= 0)
        put_end_row(a, STEP_STATUS_COMPLETED, result, NULL);
    json_object_get(result);
    action_cancel(a);
    workflow_item_done(run, item, tries, result);
    json_object_put(result);
    workflow_resume(run);
}

static void schedule_retry(struct action *a, const struct action_failure *failure)
{
    double random = randombytes_uniform(1000) / 1000.0;
    int64_t delay_ms = program_backoff_ms(a->step, a->tries, random);
    int64_t most_ms = PROGRAM_BACKOFF_SECONDS_MAX * 1000L;
    if (delay_ms < failure->retry_after_ms)
        delay_ms = failure->retry_after_ms < most_ms ? failure->retry_after_ms : most_ms;
    a->tries++;
    a->answers += failure->answered;
    action_set_due_in(a, delay_ms);
    a->resumed = false;
    put_running_row(a);
    workflow_resume(a->run);
}

void action_fail(struct action *a, const struct action_failure *failure)
{
    struct active_run *run = a->run;
    stop_action(a);
    if (failure->retry && a->tries < a->step->max_attempts) {
        schedule_retry(a, failure);
        return;
    }
    const char *error = talloc_strdup(run, failure->error);
    int item = a->item;
    int tries = a->tries;
    enum failure_reason reason = failure->reason ? failure->reason : REASON_STEP_FAILED;
    if (a->item >= 0)
        put_end_row(a, STEP_STATUS_FAILED, NULL, error);
    action_cancel(a);
    workflow_item_failed(run, item, tries, error, reason);
    workflow_resume(run);
}
