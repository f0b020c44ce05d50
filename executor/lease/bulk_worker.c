#include "executor/lease/bulk_worker.h"

#include <talloc.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "maintenance/purge.h"
#include "otlp/otlp.h"
#include "retry/retry.h"
#include "run/accept.h"
#include "run/stop.h"
#include "store/bulk_job.h"
#include "store/workflow.h"

enum {
    /* A slice that has lasted so long leaves its other items to the next one. */
    SLICE_MS = 100,
    /* Pauses of a job: its account is locked or MariaDB was not ready; it failed; the workspace's
     * max_concurrent is reached; MariaDB gave up, e.g. on a statement that took too long. */
    BUSY_MS = 100,
    FAILED_MS = 60000,
    LIMITED_MS = 1000,
    UNAVAILABLE_MS = 5000,
};

struct bulk_worker {
    const struct config *config;
    struct run_targets *targets;
    const struct otlp *otlp;
    /* The workspace whose job was served last. */
    id after;
    /* Since the first workspace, a job was left to executors of a later version. */
    bool has_left;
};

struct bulk_worker *bulk_worker_new(void *ctx, const struct config *config, struct run_targets *targets,
                                    const struct otlp *otlp)
{
    struct bulk_worker *w = talloc_zero(ctx, struct bulk_worker);
    w->config = config;
    w->targets = targets;
    w->otlp = otlp;
    return w;
}

/* One slice of one job. */
struct bulk_slice {
    struct bulk_worker *w;
    struct db *db;
    struct redis *redis;
    void *ctx;
    const struct bulk_job *job;
    int64_t until_ms;
    /* What is to be written of items on which nothing acted. */
    struct bulk_decision decisions[BULK_SLICE_MAX];
    size_t decisions_n;
    /* Retries on their way. */
    struct run_request requests[BULK_SLICE_MAX];
    size_t requests_n;
    /* The job has to be left alone for so long, 0: no; and why. */
    int64_t delay_ms;
    enum bulk_reason reason;
    /* It is paused for that reason. */
    bool is_paused;
};

static void decide(struct bulk_slice *s, const id *execution, enum bulk_outcome outcome,
                   enum bulk_reason reason)
{
    s->decisions[s->decisions_n++] =
        (struct bulk_decision){.execution_id = *execution, .outcome = outcome, .reason = reason};
}

static void delay(struct bulk_slice *s, enum bulk_reason reason, int64_t ms)
{
    s->reason = reason;
    s->delay_ms = ms;
}

static unsigned state_bits(const struct bulk_job *job)
{
    unsigned bits = 0;
    for (size_t i = 0; i < job->selection.states_n; i++)
        bits |= 1U << job->selection.states[i];
    return bits;
}

/* Why the job does not act on the run; BULK_NO_REASON: it does. */
static enum bulk_reason find_obstacle(const struct bulk_job *job, const struct execution *exec)
{
    if (!exec)
        return BULK_REMOVED;
    if (!(job->kinds & 1U << exec->kind))
        return BULK_SCOPE;
    if (!(state_bits(job) & 1U << exec->state))
        return BULK_STATE_CHANGED;
    if (exec->purged_ms && job->action != BULK_STOP)
        return BULK_PURGED;
    if (job->action == BULK_RETRY && id_is_set(&exec->parent_id) && !id_is_set(&job->selection.parent))
        return BULK_CHILD;
    return BULK_NO_REASON;
}

/* --- stop and purge: the transaction that acts on the run writes its item --- */

static void stop_item(struct bulk_slice *s, const id *execution)
{
    const struct stop_request stop = {
        .workspace_id = s->job->workspace_id,
        .execution_id = *execution,
        .bulk_job_id = s->job->id,
        .only_states = state_bits(s->job),
        .error = "stopped by a bulk job",
    };
    struct idempotency_match replay;
    switch (stop_run(s->db, s->redis, s->ctx, &stop, &replay)) {
    case STOP_DONE:
        break;
    case STOP_NOT_FOUND:
        decide(s, execution, BULK_SKIPPED, BULK_REMOVED);
        break;
    case STOP_TERMINAL:
    case STOP_NOT_MATCHED:
        decide(s, execution, BULK_SKIPPED, BULK_STATE_CHANGED);
        break;
    case STOP_FAILED:
        decide(s, execution, BULK_FAILED, BULK_INTERNAL);
        break;
    default: /* it is pending still, or was stopped, and its item says so */
        delay(s, BULK_NO_REASON, BUSY_MS);
    }
}

static void purge_one(struct bulk_slice *s, const id *execution)
{
    switch (purge_item(s->db, s->redis, &s->job->workspace_id, execution, &s->job->id)) {
    case OK:
        break;
    case ERR_NOT_FOUND:
        decide(s, execution, BULK_SKIPPED, BULK_REMOVED);
        break;
    case ERR_CONFLICT:
        decide(s, execution, BULK_SKIPPED, BULK_STATE_CHANGED);
        break;
    case ERR_INTERNAL:
        decide(s, execution, BULK_FAILED, BULK_INTERNAL);
        break;
    default:
        delay(s, BULK_NO_REASON, BUSY_MS);
    }
}

/* --- retry --- */

static enum err read_program(void *arg, const id *workflow, int version, const struct program **program_r)
{
    const struct bulk_slice *s = arg;
    return run_targets_program(s->w->targets, &s->job->workspace_id, workflow, version, program_r);
}

/* BULK_NO_REASON: the error is *e_r. */
static enum bulk_reason plan_workflow(struct bulk_slice *s, const struct execution *exec,
                                      struct run_request *req, enum err *e_r)
{
    const struct bulk_job *job = s->job;
    const struct retry_programs programs = {read_program, s};
    const struct retry_from from = {.step = job->from};
    const char *why;
    req->pinned = !job->is_current;
    *e_r = job->is_current ? run_target_workflow(s->w->targets, req)
                           : workflow_version_prices(s->db, s->ctx, &req->workspace_id, &req->responder_id,
                                                     req->version, &req->credits_asked, &req->price);
    if (*e_r != OK)
        return *e_r == ERR_NOT_FOUND ? BULK_ARCHIVED : *e_r == ERR_INVALID ? BULK_INVALID_INPUTS : 0;
    *e_r = retry_plan(s->db, s->ctx, &programs, exec, from, req, &why);
    return *e_r == ERR_INVALID ? BULK_FROM_NOT_POSSIBLE : BULK_NO_REASON;
}

static enum bulk_reason plan_skill(struct bulk_slice *s, const struct execution *exec,
                                   struct run_request *req, enum err *e_r)
{
    req->pinned = true;
    *e_r = ERR_INVALID;
    if (s->job->from || s->job->is_current)
        return BULK_NOT_FOR_SKILLS;
    *e_r = retry_take_skill(s->db, s->ctx, exec, req);
    return *e_r == ERR_NOT_FOUND ? BULK_ARCHIVED
           : *e_r == ERR_INVALID ? BULK_MODEL_NOT_ALLOWED
                                 : BULK_NO_REASON;
}

static void add_retry(struct bulk_slice *s, const id *execution)
{
    struct run_request *req = &s->requests[s->requests_n];
    struct execution exec;
    enum bulk_reason reason = BULK_NO_REASON;
    *req = (struct run_request){
        .execution_id = id_new(),
        .workspace_id = s->job->workspace_id,
        .principal_id = s->job->principal_id,
        .key_id = s->job->key_id,
        .bulk_job_id = s->job->id,
        .source = SOURCE_STANDALONE,
        .price = -1,
    };
    enum err e = execution_get(s->db, s->ctx, &s->job->workspace_id, execution, &exec);
    if (e == OK && exec.purged_ms) {
        decide(s, execution, BULK_SKIPPED, BULK_PURGED);
        return;
    }
    if (e == OK)
        e = execution_read_trace_state(s->db, s->ctx, &exec);
    if (e == OK) {
        retry_take(req, &exec);
        (void)otlp_decide(s->w->otlp, &req->execution_id, NULL, NULL, &req->trace);
        reason = exec.kind == KIND_SKILL ? plan_skill(s, &exec, req, &e) : plan_workflow(s, &exec, req, &e);
    } else if (e == ERR_NOT_FOUND) {
        decide(s, execution, BULK_SKIPPED, BULK_REMOVED);
        return;
    }
    if (e == OK)
        s->requests_n++;
    else if (reason != BULK_NO_REASON)
        decide(s, execution, BULK_FAILED, reason);
    else if (e == ERR_INTERNAL)
        decide(s, execution, BULK_FAILED, BULK_INTERNAL);
    else if (e != ERR_RETRY || !run_targets_have_deferred(s->w->targets))
        delay(s, BULK_NO_REASON, BUSY_MS);
    /* otherwise the compute thread has it: it stays pending, and the next items go to that thread, too */
}

static void take_verdict(struct bulk_slice *s, const struct run_request *req, enum run_verdict verdict)
{
    switch (verdict) {
    case RUN_ACCEPTED:
    case RUN_BULK_STALE:        /* another executor has decided it, or the job was changed */
    case RUN_RESPONDER_CHANGED: /* it is prepared anew */
        break;
    case RUN_INSUFFICIENT_CREDITS:
    case RUN_BUDGET_EXCEEDED:
        s->is_paused = true;
        s->reason = verdict == RUN_BUDGET_EXCEEDED ? BULK_BUDGET_EXCEEDED : BULK_INSUFFICIENT_CREDITS;
        break;
    case RUN_CONCURRENCY_LIMITED:
        delay(s, BULK_CONCURRENCY_LIMITED, LIMITED_MS);
        break;
    case RUN_ACCOUNT_BUSY:
    case RUN_UNAVAILABLE:
    case RUN_UNCERTAIN:
        delay(s, BULK_NO_REASON, BUSY_MS);
        break;
    default:
        log_error("bulk.retry_failed", "job=%s execution=%s verdict=%d", s->job->id.text, req->retry_of.text,
                  (int)verdict);
        decide(s, &req->retry_of, BULK_FAILED, BULK_INTERNAL);
    }
}

static void accept_retries(struct bulk_slice *s)
{
    const struct run_request *requests[BULK_SLICE_MAX];
    struct run_answer answers[BULK_SLICE_MAX];
    for (size_t i = 0; i < s->requests_n; i++)
        requests[i] = &s->requests[i];
    if (s->requests_n == 0)
        return;
    failpoint("bulk.before_accept");
    accept_batch(s->db, s->redis, s->ctx, requests, s->requests_n, 0, answers);
    failpoint("bulk.after_accept");
    for (size_t i = 0; i < s->requests_n; i++)
        take_verdict(s, requests[i], answers[i].verdict);
}

/* --- a slice --- */

static void act_on(struct bulk_slice *s, const id *execution)
{
    if (s->job->action == BULK_STOP)
        stop_item(s, execution);
    else if (s->job->action == BULK_RETRY)
        add_retry(s, execution);
    else
        purge_one(s, execution);
}

/* Ends the slice: what was decided, and when the job goes on. */
static enum err finish_slice(struct bulk_slice *s)
{
    enum err e = bulk_job_decide(s->db, &s->job->id, s->decisions, s->decisions_n);
    if (e != OK)
        return e;
    if (s->is_paused) {
        log_info("bulk.paused", "job=%s reason=%s", s->job->id.text, bulk_reason_name(s->reason));
        return bulk_job_pause(s->db, &s->job->id, s->reason);
    }
    return s->delay_ms > 0 ? bulk_job_delay(s->db, &s->job->id, s->reason, s->delay_ms) : OK;
}

static enum err act(struct bulk_slice *s, size_t *n_r)
{
    struct execution *list;
    size_t n, found;
    id *ids;
    enum err e = bulk_job_pending(s->db, s->ctx, &s->job->id, BULK_SLICE_MAX, &ids, &n);
    if (e == OK && n == 0) {
        log_info("bulk.completed", "job=%s", s->job->id.text);
        return bulk_job_complete(s->db, &s->job->id);
    }
    if (e == OK)
        e = execution_get_all(s->db, s->ctx, &s->job->workspace_id, ids, n, &list, &found);
    for (size_t i = 0; e == OK && i < n && s->delay_ms == 0 && (i == 0 || clock_boot_ms() < s->until_ms);
         i++) {
        enum bulk_reason reason = find_obstacle(s->job, execution_find(list, found, &ids[i]));
        if (reason == BULK_NO_REASON)
            act_on(s, &ids[i]);
        else
            decide(s, &ids[i], BULK_SKIPPED, reason);
        *n_r += 1;
    }
    if (e == OK)
        accept_retries(s);
    return e == OK ? finish_slice(s) : e;
}

static enum err run_slice(struct bulk_slice *s, size_t *n_r)
{
    if (!s->job->has_valid_key) {
        s->is_paused = true;
        s->reason = BULK_KEY_REVOKED;
        return finish_slice(s);
    }
    if (s->job->state == BULK_COLLECTING)
        return bulk_job_collect(s->db, s->job, s->w->config->bulk.items_max, n_r);
    return act(s, n_r);
}

/* A slice that cannot be carried out keeps no other job waiting. If MariaDB is unavailable to this job only,
 * its row can be written; otherwise the error is returned, and the task ends. */
static enum err defer(struct bulk_slice *s, enum err e)
{
    if (e == ERR_RETRY || e == ERR_CONFLICT)
        return bulk_job_delay(s->db, &s->job->id, BULK_NO_REASON, BUSY_MS);
    if (e == ERR_UNAVAILABLE || e == ERR_UNCERTAIN) {
        log_warn("bulk.slice_deferred", "job=%s error=%s", s->job->id.text, err_name(e));
        return bulk_job_delay(s->db, &s->job->id, BULK_INTERNAL, UNAVAILABLE_MS) == OK ? OK : e;
    }
    log_error("bulk.slice_failed", "job=%s error=%s", s->job->id.text, err_name(e));
    return bulk_job_delay(s->db, &s->job->id, BULK_INTERNAL, FAILED_MS);
}

static void leave(struct bulk_worker *w, const struct bulk_job *job)
{
    w->after = job->workspace_id;
    w->has_left = true;
    log_debug("bulk.left", "job=%s message=\"a later version has made it\"", job->id.text);
}

/* One round of the workspaces. After a round in which a job was left, the task ends, so that another executor
 * can have it: it is due again a second later. */
enum err bulk_worker_step(struct bulk_worker *w, struct db *db, struct redis *redis, size_t *n_r,
                          bool *more_r)
{
    void *ctx = talloc_new(NULL);
    struct bulk_job job;
    bool is_round_end = id_is_set(&w->after);
    *n_r = 0;
    enum err e = bulk_job_next(db, ctx, &w->after, &job);
    *more_r = e == OK || (e == ERR_NOT_FOUND && is_round_end && !w->has_left);
    w->after = (id){{0}};
    if (e != OK) {
        w->has_left = false;
    } else if (job.is_of_later_version) {
        leave(w, &job);
    } else {
        struct bulk_slice *s = talloc_zero(ctx, struct bulk_slice);
        w->after = job.workspace_id;
        s->w = w;
        s->db = db;
        s->redis = redis;
        s->ctx = ctx;
        s->job = &job;
        s->until_ms = clock_boot_ms() + SLICE_MS;
        run_targets_begin(w->targets, db);
        e = run_slice(s, n_r);
        if (e != OK)
            e = defer(s, e);
        *more_r = e == OK;
    }
    talloc_free(ctx);
    return e == ERR_NOT_FOUND ? OK : e;
}
