#include "executor/run/workflow/action.h"

#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "executor/db_thread/error_text.h"
#include "service/compute_thread.h"
#include "workflow/program_eval.h"
#include "json/json.h"

/* events of failed tries, of one run in one process */
enum { RETRY_EVENTS_MAX = 1000 };

#define STEP_KIND(NAME, name, ...) [STEP_TYPE_##NAME] = &step_##name,
static const struct step_kind *const step_kinds[] = {STEP_TYPE_ROWS(STEP_KIND)};
#undef STEP_KIND

const struct step_kind *step_kind_of(enum step_type type)
{
    return (int)type >= 0 && type < STEP_TYPES ? step_kinds[type] : NULL;
}

struct template_scope action_scope(const struct action *a)
{
    struct template_scope scope = a->group->scope;
    scope.in_loop = a->item >= 0;
    scope.item = a->item_value;
    scope.index = a->item;
    if (scope.budget)
        *scope.budget = (struct budget){.limit = BUDGET_EVALUATION};
    return scope;
}

enum failure_reason scope_failure_reason(const struct template_scope *scope)
{
    return budget_is_exceeded(scope->budget) ? REASON_LIMIT_EXCEEDED : REASON_NONE;
}

/* The row of an action that has not ended. timeout_ms: wall time; 0: none. */
static void put_row(struct action *a, int64_t timeout_ms)
{
    struct run_step row = {.step = (int)a->step->index,
                           .item = a->item,
                           .status = STEP_STATUS_RUNNING,
                           .tries = a->tries,
                           .answers = a->answers,
                           .due_ms = a->due_ms,
                           .timeout_ms = timeout_ms,
                           .started_ms = a->started_ms};
    commit_put_step(run_pending_commit(a->run), &row);
}

static int64_t wall_of_boot_ms(int64_t boot_ms)
{
    return clock_wall_ms() + boot_ms - clock_boot_ms();
}

static int64_t boot_of_wall_ms(int64_t wall_ms)
{
    return clock_boot_ms() + wall_ms - clock_wall_ms();
}

static void put_running_row(struct action *a)
{
    put_row(a, a->timeout_boot_ms ? wall_of_boot_ms(a->timeout_boot_ms) : 0);
    a->awaited_commit = run_pending_commit(a->run);
    a->phase = ACTION_WRITING;
}

void wait_end_put(struct active_run *run, int step, int item, const struct wait_end *wait)
{
    if (!wait->is_over)
        return;
    if (wait->seq > 0)
        commit_end_signal(run_pending_commit(run), wait->seq);
    commit_end_signal_wait(run_pending_commit(run), step, item);
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
                           .result =
                               status == STEP_STATUS_COMPLETED || result ? json_text(result, NULL) : NULL,
                           .error = error};
    commit_put_step(run_pending_commit(a->run), &row);
    wait_end_put(a->run, row.step, row.item, &a->wait);
}

/* --- waiting and starting --- */

void action_set_due_in(struct action *a, int64_t delay_ms)
{
    a->due_ms = clock_wall_ms() + delay_ms;
    a->due_boot_ms = clock_boot_ms() + delay_ms;
}

/* --- work for the compute thread --- */

struct action_job {
    struct compute_job compute; /* first */
    struct compute_thread *thread;
    void *state;
    void (*work)(void *state, void *ctx);
    void (*on_ready)(struct action *a);
    /* The context that the thread allocates in: no other thread touches it meanwhile. */
    void *ctx;
};

static int action_job_destroy(struct action_job *job)
{
    talloc_free(job->ctx);
    return 0;
}

static void run_action_job(struct compute_job *compute)
{
    struct action_job *job = (struct action_job *)compute;
    job->work(job->state, job->ctx);
}

static void on_action_job_done(struct compute_job *compute)
{
    struct action_job *job = (struct action_job *)compute;
    struct action *a = compute->arg;
    if (!a) { /* with the state of an action that was stopped */
        compute_discard(job->thread, &compute->workspace_id, job, NULL, 0);
        return;
    }
    void (*on_ready)(struct action * a) = job->on_ready;
    a->job = NULL;
    talloc_steal(a->state, job->ctx);
    job->ctx = NULL;
    talloc_free(job);
    action_wake(a, on_ready);
}

void action_compute(struct action *a, void (*work)(void *state, void *ctx),
                    void (*on_ready)(struct action *a))
{
    struct action_job *job = talloc_zero(NULL, struct action_job);
    job->compute = (struct compute_job){.workspace_id = a->run->row.workspace_id,
                                        .work = run_action_job,
                                        .done = on_action_job_done,
                                        .arg = a};
    job->thread = a->run->exec->compute;
    job->state = a->state;
    job->work = work;
    job->on_ready = on_ready;
    job->ctx = talloc_new(NULL);
    talloc_set_destructor(job, action_job_destroy);
    a->job = job;
    compute_submit(job->thread, &job->compute);
}

/* The job that is out frees the state. */
static void leave_state_to_job(struct action *a)
{
    a->job->compute.arg = NULL;
    talloc_steal(a->job, a->state);
    a->job = NULL;
    a->state = NULL;
}

static void stop_action(struct action *a)
{
    timer_clear(a->run->exec->timers, &a->wait_timer);
    timer_clear(a->run->exec->timers, &a->timeout_timer);
    if (a->job)
        leave_state_to_job(a);
    else if (a->started && a->kind->cancel)
        a->kind->cancel(a);
    a->started = false;
    a->has_effect = false;
    a->memory = 0;
}

/* 0: the run's only. */
static int64_t timeout_ms(const struct action *a)
{
    if (a->kind->put_signal_wait)
        return 0;
    if (a->step->timeout_ms > 0 || a->step->type != STEP_TYPE_HTTP)
        return a->step->timeout_ms;
    return a->run->exec->config->executor.step_timeout_s * 1000;
}

void action_start_timeout(struct action *a)
{
    int64_t limit_ms = timeout_ms(a);
    if (limit_ms > 0)
        timer_set(a->run->exec->timers, &a->timeout_timer,
                  a->timeout_boot_ms ? a->timeout_boot_ms : clock_boot_ms() + limit_ms);
}

void action_suspend_timeout(struct action *a)
{
    timer_clear(a->run->exec->timers, &a->timeout_timer);
}

/* False: the run is about to be cancelled or released. */
static bool may_start(const struct action *a)
{
    return executor_holds_lease(a->run->exec) && !a->run->exec->stopping;
}

static void begin_try(struct action *a)
{
    a->phase = ACTION_RUNNING;
    a->started = true;
    a->try_ms = clock_wall_ms();
    if (!timer_is_set(&a->timeout_timer))
        action_start_timeout(a);
}

/* Of a new action whose row is in the pending commit. A claim that is not written may yet be lost, with the
 * run. */
static void start_with_row(struct action *a)
{
    if (a->kind->start_with_row && !a->resumed && a->due_ms == 0 && !a->run->claim && may_start(a))
        a->started = a->kind->start_with_row(a, a->awaited_commit);
}

static void start_action(struct action *a)
{
    if (!may_start(a)) {
        a->phase = ACTION_WAITING;
        return;
    }
    begin_try(a);
    failpoint("step.before_effect");
    a->kind->start(a);
}

struct trace_key action_trace_key(const struct action *a)
{
    return (struct trace_key){TRACE_SPAN_TRY, (int)a->step->index, a->item, a->tries};
}

static void fail_timed_out(struct action *a)
{
    struct action_failure failure = {
        .error = talloc_asprintf(a, "timed out after %.10g s", (double)timeout_ms(a) / 1000), .retry = true};
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

static void on_action_written(struct action *a)
{
    a->awaited_commit = NULL;
    if (a->started) {
        begin_try(a);
        return;
    }
    if (a->due_boot_ms <= clock_boot_ms()) {
        a->phase = ACTION_READY;
        a->on_ready = start_action;
        return;
    }
    a->phase = ACTION_WAITING;
    timer_set(a->run->exec->timers, &a->wait_timer, a->due_boot_ms);
    if (a->kind->timeout_includes_wait)
        action_start_timeout(a);
}

void action_wait(struct action *a)
{
    a->phase = ACTION_WAITING;
    run_yield_slot(a->run);
}

void action_set_in_flight(struct action *a)
{
    a->phase = ACTION_IN_FLIGHT;
    a->has_effect = true;
    run_yield_slot(a->run);
}

void action_wake(struct action *a, void (*on_ready)(struct action *a))
{
    a->phase = ACTION_READY;
    a->on_ready = on_ready;
    a->group->on_progress(a->group->arg);
}

void action_wait_again(struct action *a)
{
    a->started = false;
    put_running_row(a);
    a->group->on_progress(a->group->arg);
}

/* --- beginning and end of one action --- */

static enum err prepare_action(struct action *a, bool *is_due_r, const char **why_r)
{
    *is_due_r = a->resumed && a->kind->no_effect && a->due_ms > 0 && a->due_boot_ms <= clock_boot_ms();
    if (a->due_ms > 0)
        return a->resumed && a->kind->resume ? a->kind->resume(a, is_due_r, why_r) : OK;
    return a->kind->prepare ? a->kind->prepare(a, why_r) : OK;
}

struct action *action_new(struct action_group *group, const struct program_step *step, int item,
                          json_object *item_value, const struct stored_step *stored, const char **why_r)
{
    struct action *a = talloc_zero(group->run, struct action);
    a->group = group;
    a->run = group->run;
    a->step = step;
    a->kind = step_kind_of(step->type);
    a->item = item;
    a->item_value = item_value;
    a->tries = stored ? stored->tries : 1;
    a->answers = stored ? stored->answers : 0;
    if (stored && stored->due_ms > 0) {
        a->due_ms = stored->due_ms;
        a->due_boot_ms = boot_of_wall_ms(stored->due_ms);
    }
    if (stored && stored->timeout_ms > 0)
        a->timeout_boot_ms = boot_of_wall_ms(stored->timeout_ms);
    a->started_ms = stored && stored->started_ms ? stored->started_ms : clock_wall_ms();
    a->resumed = stored != NULL;
    a->wait_timer = (struct timer){.fire = on_action_due, .arg = a};
    a->timeout_timer = (struct timer){.fire = on_action_timeout, .arg = a};
    bool is_due;
    if (prepare_action(a, &is_due, why_r) != OK) {
        *why_r = talloc_strdup(group->run, *why_r);
        talloc_free(a);
        return NULL;
    }
    if (is_due) {
        a->phase = ACTION_READY;
        a->on_ready = start_action;
    } else {
        put_running_row(a);
        start_with_row(a);
    }
    TAILQ_INSERT_TAIL(&group->actions, a, link);
    return a;
}

static void free_action(struct action *a)
{
    stop_action(a);
    TAILQ_REMOVE(&a->group->actions, a, link);
    talloc_free(a);
}

/* `reason`: NULL: the try succeeded. */
static void trace_try(struct action *a, const char *reason)
{
    struct run_span span = {
        .key = action_trace_key(a),
        .above = {TRACE_SPAN_STEP, (int)a->step->index, 0, 0},
        .step = a->step->name,
        .type = a->step->type_name,
        .start_ms = a->try_ms ? a->try_ms : a->started_ms,
        .is_request = a->step->type == STEP_TYPE_HTTP,
        .failed = reason != NULL,
        .reason = reason,
        .status = a->http_status,
    };
    run_trace_span(&a->run->trace, &span);
    a->http_status = 0;
}

void action_succeed(struct action *a, json_object *result)
{
    struct action_group *group = a->group;
    failpoint("step.after_effect");
    if (program_result_size(result) == SIZE_MAX) {
        struct action_failure failure = {.error = "the result exceeds 256 KiB or is nested too deeply"};
        action_fail(a, &failure);
        return;
    }
    struct action_end end = {
        .item = a->item, .tries = a->tries, .result = json_object_get(result), .wait = a->wait};
    trace_try(a, NULL);
    a->started = false;
    if (a->item >= 0)
        put_end_row(a, STEP_STATUS_COMPLETED, result, NULL);
    free_action(a);
    group->on_end(group->arg, &end);
    json_object_put(result);
}

/* Beyond RETRY_EVENTS_MAX no event is added: a for_each may have 100,000 tries. The last one says so. */
static void add_retry_event(struct action *a, const struct action_failure *failure)
{
    char at[CLOCK_TEXT_SIZE];
    if (a->run->retry_events_n >= RETRY_EVENTS_MAX)
        return;
    a->run->retry_events_n++;
    struct commit *c = run_pending_commit(a->run);
    json_object *data = json_object_new_object();
    json_object_object_add(data, "index", json_object_new_int((int)a->step->index));
    json_object_object_add(data, "name", json_object_new_string(a->step->name));
    json_object_object_add(data, "step_type", json_object_new_string(a->step->type_name));
    if (a->item >= 0)
        json_object_object_add(data, "item", json_object_new_int(a->item));
    json_object_object_add(data, "attempt", json_object_new_int(a->tries));
    json_object_object_add(data, "error", json_object_new_string(error_text(c, failure->error)));
    json_object_object_add(data, "retry_at", json_object_new_string(clock_text_z(a->due_ms, at)));
    if (a->run->retry_events_n == RETRY_EVENTS_MAX)
        json_object_object_add(data, "truncated", json_object_new_boolean(true));
    commit_add_event(c, EVENT_STEP_RETRYING, clock_wall_ms(), json_text(data, NULL));
    json_object_put(data);
}

static void schedule_retry(struct action *a, const struct action_failure *failure)
{
    int64_t delay_ms = program_backoff_ms(a->step, a->tries);
    int64_t most_ms = PROGRAM_BACKOFF_SECONDS_MAX * 1000L;
    if (delay_ms < failure->retry_after_ms)
        delay_ms = failure->retry_after_ms < most_ms ? failure->retry_after_ms : most_ms;
    action_set_due_in(a, delay_ms);
    add_retry_event(a, failure);
    a->tries++;
    a->answers += failure->answered;
    a->resumed = false;
    a->timeout_boot_ms = 0;
    put_running_row(a);
    a->group->on_progress(a->group->arg);
}

void action_fail(struct action *a, const struct action_failure *failure)
{
    struct action_group *group = a->group;
    stop_action(a);
    trace_try(a, reason_name(failure->reason ? failure->reason : REASON_STEP_FAILED));
    if (failure->retry && a->tries < a->step->max_attempts) {
        schedule_retry(a, failure);
        return;
    }
    bool fits = program_result_size(failure->result) != SIZE_MAX;
    struct action_end end = {.item = a->item,
                             .tries = a->tries,
                             .error = talloc_strdup(a->run, failure->error),
                             .result = fits ? json_object_get(failure->result) : NULL,
                             .reason = failure->reason ? failure->reason : REASON_STEP_FAILED,
                             .wait = a->wait};
    if (a->item >= 0)
        put_end_row(a, STEP_STATUS_FAILED, end.result, end.error);
    free_action(a);
    group->on_end(group->arg, &end);
    json_object_put(end.result);
}

/* --- the group --- */

void actions_on_written(struct action_group *group, const struct commit *c)
{
    struct action *a;
    TAILQ_FOREACH(a, &group->actions, link)
    {
        if (a->awaited_commit == c)
            on_action_written(a);
    }
}

static struct action *find_action_in(const struct action_group *group, enum action_phase phase)
{
    struct action *a;
    TAILQ_FOREACH(a, &group->actions, link)
    {
        if (a->phase == phase)
            return a;
    }
    return NULL;
}

bool actions_any_in(const struct action_group *group, enum action_phase phase)
{
    return find_action_in(group, phase) != NULL;
}

bool actions_have_effect(const struct action_group *group)
{
    const struct action *a;
    TAILQ_FOREACH(a, &group->actions, link)
    {
        if (a->has_effect || a->phase == ACTION_RUNNING)
            return true;
    }
    return false;
}

void actions_run_ready(struct action_group *group, const struct turn *turn)
{
    struct action *a;
    /* from the start each time: on_ready may have freed any of them */
    while (!group->run->ending && !turn_is_over(turn) && (a = find_action_in(group, ACTION_READY))) {
        a->phase = ACTION_RUNNING;
        a->on_ready(a);
    }
}

int actions_abort(struct action_group *group, const char *error)
{
    struct action *a;
    int tries = 0;
    TAILQ_FOREACH(a, &group->actions, link)
    {
        if (a->item >= 0)
            put_end_row(a, STEP_STATUS_FAILED, NULL, error);
        else
            tries = a->tries;
    }
    return tries;
}

/* --- parking --- */

/* The action waits for due_boot_ms, or will once its row is written. */
static bool waits_for_time(const struct action *a)
{
    if (a->phase == ACTION_WRITING)
        return a->due_boot_ms > 0 && a->awaited_commit == a->run->pending;
    return a->phase == ACTION_WAITING && timer_is_set(&a->wait_timer);
}

/* CLOCK_BOOTTIME; INT64_MAX: no time limit is running. */
static int64_t timeout_at_ms(const struct action *a)
{
    if (timer_is_set(&a->timeout_timer))
        return a->timeout_timer.at_ms;
    if (a->timeout_boot_ms)
        return a->timeout_boot_ms;
    return a->phase == ACTION_WRITING && a->kind->timeout_includes_wait && timeout_ms(a) > 0
               ? clock_boot_ms() + timeout_ms(a)
               : INT64_MAX;
}

static bool add_action_wait(const struct action *a, void *ctx, struct run_wait *wait)
{
    const id *child = a->phase == ACTION_WAITING && a->kind->awaited_child ? a->kind->awaited_child(a) : NULL;
    int64_t wake_ms = timeout_at_ms(a);
    if (waits_for_time(a)) {
        enum wait_reason reason = a->kind->put_signal_wait ? WAIT_SIGNAL
                                  : a->tries > 1           ? WAIT_BACKOFF
                                                           : WAIT_DELAY;
        wait->reason = wait->reason > reason ? wait->reason : reason;
        wake_ms = a->due_boot_ms < wake_ms ? a->due_boot_ms : wake_ms;
    } else if (child) {
        wait->reason = WAIT_CHILD;
        wait->children = talloc_realloc(ctx, wait->children, id, wait->children_n + 1);
        wait->children[wait->children_n++] = *child;
    } else {
        return false;
    }
    wait->wake_ms = wake_ms < wait->wake_ms ? wake_ms : wait->wake_ms;
    return true;
}

bool actions_find_wait(const struct action_group *group, void *ctx, struct run_wait *wait_r)
{
    const struct action *a;
    *wait_r = (struct run_wait){.wake_ms = INT64_MAX};
    TAILQ_FOREACH(a, &group->actions, link)
    {
        if (!add_action_wait(a, ctx, wait_r))
            return false;
    }
    return !TAILQ_EMPTY(&group->actions);
}

void actions_prepare_park(struct action_group *group)
{
    struct action *a;
    TAILQ_FOREACH(a, &group->actions, link)
    {
        int64_t at_ms = timeout_at_ms(a);
        if (at_ms < INT64_MAX)
            put_row(a, wall_of_boot_ms(at_ms));
        if (a->kind->put_signal_wait)
            a->kind->put_signal_wait(a);
    }
}

void actions_cancel(struct action_group *group)
{
    struct action *a;
    while ((a = TAILQ_FIRST(&group->actions)))
        free_action(a);
}
