#include "executor/run/active_run.h"

#include <malloc.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/utf8.h"
#include "executor/run/child_watch.h"
#include "service/compute_thread.h"
#include "json/json.h"

#define RUN_LOG_ARGS(run)                                                                                    \
    (run)->row.id.text, (run)->row.workspace_id.text, (run)->row.responder_id.text, (run)->row.attempt
#define RUN_LOG_FORMAT "execution=%s workspace=%s workflow=%s attempt=%d"

/* Runs with larger inputs begin after their claim: parsing takes up to 150 ns a byte. */
enum {
    INPUT_IN_CLAIM_MAX = 16 * 1024,
    /* bytes of the error of a run in its log line, which has at most 4,000 */
    MESSAGE_LOG_MAX = 2000,
    /* until the deadline in the row is read again, if MariaDB did not answer */
    DEADLINE_RETRY_MS = 1000,
    /* freed memory that is returned to the kernel at once, by the compute thread: about 10 ms */
    TRIM_BYTES = 64 * 1024 * 1024,
};

static const char run_timed_out[] = "the run exceeded its time limit";

static int64_t run_age_ms(const struct active_run *run)
{
    return clock_boot_ms() - run->began_ms;
}

/* --- slots --- */

static void resume_run(struct active_run *run)
{
    if (run->kind->resume)
        run->kind->resume(run);
}

static void on_slot_granted(void *arg)
{
    resume_run(arg);
}

static void return_to_kernel(struct compute_job *job)
{
    malloc_trim(0);
    talloc_free(job);
}

void run_note_freed_memory(struct executor *exec, size_t bytes)
{
    exec->freed_bytes += bytes;
    if (exec->freed_bytes < TRIM_BYTES)
        return;
    struct compute_job *job = talloc_zero(NULL, struct compute_job);
    exec->freed_bytes = 0;
    job->returned = return_to_kernel;
    compute_submit(exec->compute, job);
}

void run_count_memory(struct active_run *run)
{
    if (run->slot.held && run->kind->memory)
        slot_raise_bytes(&run->slot, run->kind->memory(run));
}

void run_yield_slot(struct active_run *run)
{
    if (!run->slot.held || run->claim || run->pending || run->in_flight || timer_is_set(&run->resume_timer) ||
        !run->kind->can_yield || !run->kind->can_yield(run))
        return;
    run_count_memory(run);
    run->slot.held_bytes = run->slot.bytes;
    if (run->kind->save_memory && slots_memory_is_scarce(run->exec->slots))
        run->kind->save_memory(run);
    run->slot.waiting_bytes = run->kind->memory ? run->kind->memory(run) : run->slot.bytes;
    if (run->slot.waiting_bytes < run->slot.held_bytes)
        run_note_freed_memory(run->exec, run->slot.held_bytes - run->slot.waiting_bytes);
    slot_yield(&run->slot);
}

/* --- the end --- */

/* Usage and artifacts are recorded even if the run was stopped in the meantime (usage_put_late). */
static void submit_late_results(struct active_run *run)
{
    struct commit *c = run->pending;
    run->pending = NULL;
    if (!c || !c->usage || run->claim || !executor_may_record(run->exec)) {
        talloc_free(c);
        return;
    }
    c->job.arg = NULL;
    db_thread_submit(run->exec->db_thread, &c->job);
}

static void forget_run(struct active_run *run)
{
    struct executor *exec = run->exec;
    const id run_id = run->row.id;
    bool was_ending = run->ending;
    run->ending = true;
    run->kind->cancel(run);
    timer_clear(exec->timers, &run->deadline);
    timer_clear(exec->timers, &run->resume_timer);
    timer_clear(exec->timers, &run->park_timer);
    if (run->in_flight)
        run->in_flight->job.arg = NULL; /* it is still written; on_run_commit frees it */
    if (run->deadline_job)
        run->deadline_job->arg = NULL;
    if (run->claim) {
        run->claim->active = NULL;
        run->claim->cancelled = true;
    }
    submit_late_results(run);
    id_map_remove(exec->runs, &run->row.id);
    if (run->kind->leave)
        run->kind->leave(run);
    run_note_freed_memory(exec, run->slot.bytes);
    slot_leave(&run->slot);
    talloc_free(run);
    if (was_ending && exec->child_watch) /* announcements of the end may have been ignored (run_ends_here) */
        child_watch_notify(exec->child_watch, &run_id);
    slots_serve(exec->slots);
    exec->on_work_ended(exec);
}

static void log_run_end(const struct active_run *run, const struct commit *c)
{
    switch (c->move.move) {
    case MOVE_SUCCEED:
        log_info("run.succeeded", RUN_LOG_FORMAT " duration_ms=%lld", RUN_LOG_ARGS(run),
                 (long long)run_age_ms(run));
        break;
    case MOVE_FAIL:
        log_warn("run.failed", RUN_LOG_FORMAT " duration_ms=%lld reason=%s step=%s try=%d message=\"%.*s\"",
                 RUN_LOG_ARGS(run), (long long)run_age_ms(run), reason_name(c->move.reason),
                 run->failed_step ? run->failed_step : "-", run->failed_try,
                 (int)utf8_cut(c->move.error, strlen(c->move.error), MESSAGE_LOG_MAX), c->move.error);
        break;
    default:
        log_info("run.released", RUN_LOG_FORMAT " duration_ms=%lld", RUN_LOG_ARGS(run),
                 (long long)run_age_ms(run));
    }
}

void run_cancel(struct active_run *run, const char *why)
{
    log_info("run.cancelled", RUN_LOG_FORMAT " duration_ms=%lld message=\"%s\"", RUN_LOG_ARGS(run),
             (long long)run_age_ms(run), why);
    forget_run(run);
}

/* --- parking --- */

static bool may_park(const struct active_run *run)
{
    const struct executor *exec = run->exec;
    return run->kind->find_wait && !run->ending && !run->parking && !run->in_flight && !exec->stopping &&
           executor_holds_lease(exec) && (!run->claim || run->claim->accepts_first_commit);
}

/* True if the run waits for long enough to be parked now. When a child will end is unknown, so a run has
 * waited for its children for a while first. */
static bool should_park(struct active_run *run, const struct run_wait *wait)
{
    int64_t now_ms = clock_boot_ms();
    int64_t after_ms = run->exec->config->executor.park_after_ms;
    int64_t deadline_ms = run->began_ms + run->row.deadline_ms - run->began_wall_ms;
    bool waited = wait->children_n == 0 || (run->park_due && !run->pending);
    run->park_due = false;
    if (wait->reason == WAIT_SIGNAL)
        return true; /* nobody knows when it comes, and the deadline does not count until then */
    if (wait->children_n > 0 && !waited)
        timer_set(run->exec->timers, &run->park_timer, now_ms + after_ms);
    return waited && wait->wake_ms - now_ms > after_ms && deadline_ms - now_ms > after_ms;
}

/* The pending commit changes the deadlines of the run's ancestors. */
static void note_ancestors(struct active_run *run)
{
    if (id_is_set(&run->row.parent_id))
        run->pending->root_id = run->row.root_id;
}

/* Parks the run with its pending commit, if it only waits. */
static void park_waiting_run(struct active_run *run)
{
    struct run_wait wait = {.wake_ms = INT64_MAX};
    void *scratch = talloc_new(NULL);
    if (may_park(run) && run->kind->find_wait(run, scratch, &wait) && should_park(run, &wait)) {
        struct commit_park park = {.reason = wait.reason,
                                   .wake_ms = INT64_MAX,
                                   .children = wait.children,
                                   .children_n = wait.children_n};
        if (wait.wake_ms < INT64_MAX)
            park.wake_ms = clock_wall_ms() + wait.wake_ms - clock_boot_ms();
        run->parking = true;
        run->kind->prepare_park(run);
        commit_set_park(run_pending_commit(run), &park);
        if (park.reason == WAIT_SIGNAL)
            note_ancestors(run);
    }
    talloc_free(scratch);
}

static void on_park_timer(void *arg)
{
    struct active_run *run = arg;
    run->park_due = true;
    run_flush(run);
    run->park_due = false;
}

static void leave_parked(struct active_run *run, const struct commit *c)
{
    failpoint("park.after_commit");
    log_info("run.parked", RUN_LOG_FORMAT " duration_ms=%lld children=%zu", RUN_LOG_ARGS(run),
             (long long)run_age_ms(run), c->park->children_n);
    TALLOC_FREE(run->pending); /* what came after the commit begins again when the run is woken */
    forget_run(run);
}

/* --- commits --- */

static void log_refusal(const struct active_run *run, const struct commit *c)
{
    log_error("run.commit_failed", RUN_LOG_FORMAT " error=%s message=\"%s\"", RUN_LOG_ARGS(run),
              err_name(c->job.e), c->refusal ? c->refusal : "");
}

/* MariaDB refused the last commit `c`. The run fails once, by a commit that holds nothing but the move. If
 * that is refused too, the run leaves memory, and the next heartbeat requeues its row. */
static void end_refused_run(struct active_run *run, const struct commit *c)
{
    if (run->end_refused) {
        forget_run(run);
        return;
    }
    run->end_refused = true;
    TALLOC_FREE(run->pending);
    struct commit *last = run_pending_commit(run);
    last->side_effects_started = c->side_effects_started;
    last->nothing_started = c->nothing_started;
    last->stop_descendants = run->may_have_children;
    commit_set_move(last, &(struct run_move){.move = MOVE_FAIL,
                                             .at_ms = clock_wall_ms(),
                                             .reason = REASON_INTERNAL,
                                             .error = "the end of the run could not be stored"});
    run_flush(run);
}

static void set_deadline(struct active_run *run, int64_t deadline_ms)
{
    run->row.deadline_ms = deadline_ms;
    timer_set(run->exec->timers, &run->deadline, clock_boot_ms() + deadline_ms - clock_wall_ms());
}

/* A descendant's wait for a signal moves the deadline in the row, and its end moves it back. */
static void follow_deadline(struct active_run *run, const struct commit *c)
{
    if (!run->ending && c->deadline_ms > 0 && c->deadline_ms != run->row.deadline_ms)
        set_deadline(run, c->deadline_ms);
}

/* A parent in this process need not look its child's end up. Only of a success: MariaDB may have cut an
 * error. Another end is looked up (forget_run). */
static void tell_parent(struct executor *exec, const struct commit *c)
{
    struct child_end end = {.state = STATE_SUCCEEDED, .output = c->move.output};
    if (exec->child_watch && c->move.move == MOVE_SUCCEED)
        child_watch_tell(exec->child_watch, &c->run, &end);
}

static void on_run_commit(struct job *job)
{
    struct commit *c = (struct commit *)job;
    struct active_run *run = job->arg;
    if (!run) {
        talloc_free(c);
        return;
    }
    run->in_flight = NULL;
    run->parking = false;
    if (c->fenced) {
        run_cancel(run, "stopped, or running elsewhere");
    } else if (job->e != OK && c->has_move) {
        log_refusal(run, c);
        end_refused_run(run, c);
    } else if (job->e != OK) {
        log_refusal(run, c);
        talloc_free(run->pending);
        run->pending = NULL;
        run_fail(run, REASON_INTERNAL, "the run's progress could not be stored");
    } else if (c->has_move) {
        log_run_end(run, c);
        tell_parent(run->exec, c); /* before the files of the run are removed, for which it need not wait */
        forget_run(run);
    } else if (c->park && !c->not_parked) {
        leave_parked(run, c);
    } else {
        follow_deadline(run, c);
        if (!run->ending && run->kind->on_written)
            run->kind->on_written(run, c);
        run_flush(run);
    }
    talloc_free(c);
}

struct commit *run_pending_commit(struct active_run *run)
{
    if (!run->pending) {
        run->pending = commit_new(&run->row.id, &run->row.workspace_id, run->row.attempt);
        run->pending->job.done = on_run_commit;
        run->pending->job.arg = run;
        if (run->give_back_ms > 0)
            note_ancestors(run);
        run->pending->ancestors_ms = -run->give_back_ms;
        run->give_back_ms = 0;
    }
    return run->pending;
}

void run_flush(struct active_run *run)
{
    park_waiting_run(run);
    if (!run->pending || run->in_flight || (run->claim && !run->claim->accepts_first_commit)) {
        run_yield_slot(run);
        return;
    }
    run->in_flight = run->pending;
    run->pending = NULL;
    if (run->claim)
        run->claim->first_commit = run->in_flight;
    else
        db_thread_submit(run->exec->db_thread, &run->in_flight->job);
}

void run_note_nothing_started(struct active_run *run)
{
    run_pending_commit(run)->nothing_started = !run->earlier_side_effects;
}

/* One event with the log and progress that run_events.c has only counted. */
static void report_omitted_events(struct active_run *run)
{
    if (run->events_omitted == 0)
        return;
    json_object *data = json_object_new_object();
    json_object_object_add(data, "text", json_object_new_string(""));
    json_object_object_add(data, "truncated", json_object_new_boolean(true));
    json_object_object_add(data, "omitted_bytes", json_object_new_int64(run->log_bytes_omitted));
    json_object_object_add(data, "omitted_events", json_object_new_int64(run->events_omitted));
    commit_add_event(run_pending_commit(run), EVENT_LOG, clock_wall_ms(), json_text(data, NULL));
    json_object_put(data);
    run->events_omitted = 0;
}

static void trace_end(const struct active_run *run, const struct run_move *move)
{
    const struct run_trace_end end = {
        .start_ms = run->row.started_ms ? run->row.started_ms : run->began_wall_ms,
        .kind = run->row.kind != KIND_SKILL            ? "workflow"
                : run->kind == run->exec->kinds->model ? "model"
                                                       : "skill",
        .failed_step = run->failed_step,
        .reason = move->move == MOVE_FAIL ? reason_name(move->reason) : NULL,
        .responder_id = &run->row.responder_id,
        .attempt = run->row.attempt,
    };
    if (move->move != MOVE_RELEASE)
        run_trace_end(&run->trace, &end);
}

static void end_run(struct active_run *run, const struct run_move *move)
{
    run->ending = true;
    trace_end(run, move);
    report_omitted_events(run);
    timer_clear(run->exec->timers, &run->deadline);
    timer_clear(run->exec->timers, &run->resume_timer);
    timer_clear(run->exec->timers, &run->park_timer);
    run_pending_commit(run)->stop_descendants =
        run->may_have_children && move->move != MOVE_RELEASE; /* a run that ends stops its descendants */
    commit_set_move(run->pending, move);
    run_flush(run);
}

void run_succeed(struct active_run *run, const char *output)
{
    struct run_move move = {.move = MOVE_SUCCEED, .at_ms = clock_wall_ms(), .output = output};
    end_run(run, &move);
}

void run_fail(struct active_run *run, enum failure_reason reason, const char *error)
{
    struct run_move move = {.move = MOVE_FAIL, .at_ms = clock_wall_ms(), .reason = reason, .error = error};
    run->ending = true;
    if (run->kind->abort_step)
        run->kind->abort_step(run, error);
    move.step = run->failed_step;
    run->kind->cancel(run);
    end_run(run, &move);
}

void run_release(struct active_run *run)
{
    struct run_move move = {.move = MOVE_RELEASE, .at_ms = clock_wall_ms()};
    run->ending = true;
    run->kind->cancel(run);
    end_run(run, &move);
}

bool run_ends_here(const struct executor *exec, const id *run)
{
    const struct active_run *active = id_map_get(exec->runs, run);
    return active && active->in_flight && active->in_flight->has_move;
}

void runs_release_idle(struct executor *exec, bool all)
{
    struct active_run *run;
    size_t cursor = 0;
    while ((run = id_map_next(exec->runs, &cursor))) {
        if (!run->ending && (all || !run->kind->has_inflight_effect(run)))
            run_release(run);
    }
}

void runs_cancel_all(struct executor *exec, const char *why)
{
    struct active_run *run;
    size_t cursor = 0;
    while ((run = id_map_next(exec->runs, &cursor)))
        run_cancel(run, why);
}

/* --- the beginning --- */

struct deadline_job {
    struct job job;
    id run;
    int64_t deadline_ms;
};

static void read_deadline(struct job *job, struct db_thread_ctx *thread_ctx)
{
    struct deadline_job *j = (struct deadline_job *)job;
    struct db_value run = db_id(&j->run);
    struct db_rows *rows;
    job->e = db_run(thread_ctx->db, j, SQL_EXECUTOR_DEADLINE, &run, 1, &rows);
    if (job->e == OK && rows->count == 1)
        j->deadline_ms = db_int(rows, 0, EXECUTOR_DEADLINE_DEADLINE_MS);
}

static void on_deadline_read(struct job *job)
{
    struct deadline_job *j = (struct deadline_job *)job;
    struct active_run *run = job->arg;
    /* without MariaDB, it asks again */
    int64_t left_ms = job->e == OK ? j->deadline_ms - clock_wall_ms() : DEADLINE_RETRY_MS;
    if (run)
        run->deadline_job = NULL;
    if (run && !run->ending) {
        if (job->e == OK && left_ms > 0)
            set_deadline(run, j->deadline_ms);
        else if (left_ms > 0)
            timer_set(run->exec->timers, &run->deadline, clock_boot_ms() + left_ms);
        else
            run_fail(run, REASON_TIMEOUT, run_timed_out);
    }
    talloc_free(j);
}

/* A child that waits for a signal moves the deadline in the row of this run: it is read before the run fails.
 */
static void on_run_deadline(void *arg)
{
    struct active_run *run = arg;
    if (run->deadline_job)
        return; /* on_deadline_read sets the timer */
    struct deadline_job *j = talloc_zero(NULL, struct deadline_job);
    j->job = (struct job){.kind = JOB_CALL, .work = read_deadline, .done = on_deadline_read, .arg = run};
    j->run = run->row.id;
    run->deadline_job = &j->job;
    db_thread_submit(run->exec->db_thread, &j->job);
}

static void on_resume_timer(void *arg)
{
    struct active_run *run = arg;
    resume_run(run);
}

static const struct run_kind *run_kind_of(const struct executor *exec, const struct claimed_run *c)
{
    if (c->run.kind != KIND_SKILL)
        return exec->kinds->workflow;
    return c->skill && cached_skill_manifest(c->skill)->runner == RUNNER_MODEL ? exec->kinds->model
                                                                               : exec->kinds->skill;
}

static struct active_run *active_run_new(struct executor *exec, struct claimed_run *c)
{
    struct active_run *run = talloc_zero(NULL, struct active_run);
    run->exec = exec;
    run->kind = run_kind_of(exec, c);
    run->row = c->run;
    run->principal_id = c->principal_id;
    run->trace = (struct run_trace){.otlp = exec->otlp,
                                    .execution_id = c->run.id,
                                    .workspace_id = c->run.workspace_id,
                                    .context = c->trace,
                                    .state = c->trace_state ? talloc_strdup(run, c->trace_state) : NULL};
    run->earlier_side_effects = c->earlier_side_effects;
    /* an earlier attempt may have left children behind */
    run->may_have_children = c->run.attempt > 0;
    run->slot = (struct slot){.slots = exec->slots,
                              .on_granted = on_slot_granted,
                              .arg = run,
                              .held = true,
                              .bytes = c->memory_bytes};
    c->memory_bytes = 0;
    run->deadline = (struct timer){.fire = on_run_deadline, .arg = run};
    run->resume_timer = (struct timer){.fire = on_resume_timer, .arg = run};
    run->park_timer = (struct timer){.fire = on_park_timer, .arg = run};
    run->began_ms = clock_boot_ms();
    run->woken = c->woken;
    run->give_back_ms = c->run.give_back_ms;
    run->kind->init(run, c);
    id_map_put(exec->runs, &run->row.id, run);
    return run;
}

static void begin_run(struct active_run *run)
{
    struct executor *exec = run->exec;
    /* The deadline is stored as wall time. It is compared with the wall clock once, here; the timer uses
     * CLOCK_BOOTTIME. */
    int64_t now_ms = clock_wall_ms();
    const char *unusable = run->kind->unusable(run);
    run->began_wall_ms = now_ms;
    if (!run->woken && run->row.attempt <= 1)
        run_trace_begin(&run->trace);
    log_info(run->woken ? "run.woken" : "run.claimed", RUN_LOG_FORMAT " version=%d waited_ms=%lld",
             RUN_LOG_ARGS(run), run->row.version, (long long)(now_ms - run->row.moved_ms));
    if (exec->stopping) {
        run_release(run);
    } else if (unusable) {
        run_fail(run, REASON_INTERNAL, unusable);
    } else if (run->row.deadline_ms <= now_ms) {
        run_note_nothing_started(run);
        run_fail(run, REASON_TIMEOUT, run_timed_out);
    } else {
        timer_set(exec->timers, &run->deadline, run->began_ms + run->row.deadline_ms - now_ms);
        run->kind->begin(run);
    }
}

void run_begin_in_claim(struct executor *exec, struct claimed_run *c)
{
    if (!run_kind_of(exec, c)->begins_in_claim ||
        (c->input && strnlen(c->input, INPUT_IN_CLAIM_MAX + 1) > INPUT_IN_CLAIM_MAX))
        return;
    c->active = active_run_new(exec, c);
    c->active->claim = c;
    c->accepts_first_commit = true;
    begin_run(c->active);
    c->accepts_first_commit = false;
}

/* The claim is not written: drops the run and its first commit, and returns the slot. */
static void undo_claim(struct executor *exec, struct claimed_run *c)
{
    if (c->active)
        run_cancel(c->active, c->fenced ? "stopped, or running elsewhere" : "the claim could not be written");
    else if (!c->cancelled)
        slots_return_detached(exec->slots);
    talloc_free(c->first_commit);
}

void run_settle_claim(struct executor *exec, struct claimed_run *c, enum err e)
{
    struct active_run *run = c->active;
    if (e != OK || c->fenced) {
        undo_claim(exec, c);
        return;
    }
    if (run)
        run->claim = NULL;
    if (c->first_commit && (c->write_separately && run))
        db_thread_submit(exec->db_thread, &c->first_commit->job);
    else if (c->first_commit)
        c->first_commit->job.done(&c->first_commit->job);
    else if (run)
        run_flush(run);
    else if (!c->cancelled && !exec->fenced)
        begin_run(active_run_new(exec, c));
}
