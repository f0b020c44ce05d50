#include "fcgi/forms/start_run.h"

#include <string.h>
#include <talloc.h>

#include "account/credits.h"
#include "base/log.h"
#include "fcgi/forms/execution_reply.h"
#include "fcgi/forms/quota_reply.h"
#include "fcgi/forms/run_form.h"
#include "fcgi/forms/run_trace.h"
#include "fcgi/forms/skill_reply.h"
#include "fcgi/forms/wait.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "fcgi/http/slow.h"
#include "fcgi/shared/accept_group.h"
#include "run/idempotency_cache.h"
#include "spending/budget.h"
#include "store/execution.h"
#include "webhook/sealed_response.h"
#include "json/json_write.h"

/* A workflow that changes more often than this during one request is being changed in a loop. */
enum { VALIDATE_TRIES = 5 };

bool start_run_prepare(struct request *r, struct run_request *req)
{
    req->execution_id = id_new();
    req->workspace_id = r->access.workspace_id;
    req->principal_id = r->access.principal_id;
    req->key_id = r->access.key_id;
    req->price = -1;
    req->source = SOURCE_STANDALONE;
    request_trace(r, &req->trace, &req->trace_state);
    r->trace = req->trace;
    return request_idempotency(r, &req->idempotency_key, req->fingerprint);
}

/* The stored response was purged or too large for the slot: replies with the execution instead. */
static int replay_execution(struct request *r, const id *execution, int status)
{
    struct execution exec;
    enum err e = execution_get(r->app->db, r, &r->access.workspace_id, execution, &exec);
    if (e != OK)
        return reply_err(r, e);
    /* a retry of a skill's run (202) is answered in the shape of run-async */
    if (exec.kind == KIND_SKILL && status != 202)
        return skill_reply(r, status, &exec.id);
    return execution_reply(r, status, &exec, false);
}

static int reply_sealed(struct request *r)
{
    log_error("idempotency.unseal_failed", "workspace=%s message=\"webhooks.key_file has another key\"",
              r->access.workspace_id.text);
    return reply_err(r, ERR_INTERNAL);
}

int reply_stored_response(struct request *r, const id *execution, const struct stored_response *response)
{
    r->reply = (struct reply){0};
    r->execution_id = *execution;
    r->is_replay = true;
    struct span body = response->body;
    if (response_is_sealed(body) &&
        response_open(r, r->app->webhook_key, &r->access.workspace_id, response->body, &body) != OK)
        return reply_sealed(r);
    reply_header(r, "Idempotent-Replayed", "true");
    reply_header(r, "X-Idempotent-Replayed", "true");
    if (!body.at && id_is_set(execution))
        return replay_execution(r, execution, response->status);
    return reply_json(r, response->status, body.at ? body.at : "", body.size);
}

int reply_key_reused(struct request *r)
{
    r->reply = (struct reply){0};
    return reply_problem(
        r, 422, "idempotency_key_reused",
        "This Idempotency-Key was used for a different request: the method, the path, and the bytes of the "
        "query and the body must be those of the first one.");
}

int reject_or_replay(struct request *r, struct span key, const uint8_t fingerprint[32])
{
    return refuse_or_replay(r, key, fingerprint, reply_rejected(r));
}

int refuse_or_replay(struct request *r, struct span key, const uint8_t fingerprint[32], int status)
{
    const struct idempotency_key searched = {r->access.workspace_id, key, fingerprint};
    struct idempotency_match match;
    if (!key.at || status == 403 || status == 503)
        return status;
    if (idempotency_lookup(r->app->db, r, &searched, &match) != OK) {
        r->reply = (struct reply){0};
        return reply_err(r, ERR_UNAVAILABLE);
    }
    if (match.state == IDEMPOTENCY_REPLAY)
        return reply_stored_response(r, &match.execution_id, &match.response);
    return match.state == IDEMPOTENCY_REUSED ? reply_key_reused(r) : status;
}

static int reply_budget_exceeded(struct request *r, const struct budget_refusal *refusal)
{
    char used[CREDITS_TEXT_SIZE], limit[CREDITS_TEXT_SIZE];
    int64_t reset_ms = refusal->reset_ms == PERIOD_NEVER ? 0 : refusal->reset_ms;
    if (r->app->shared)
        atomic_fetch_add_explicit(&r->app->shared->metrics.refused_budget[refusal->scope], 1,
                                  memory_order_relaxed);
    if (!id_is_set(&refusal->budget_id))
        return reply_problem_with_budget(r, 402, "budget_exceeded", &refusal->budget_id, reset_ms,
                                         "The run matches more than %d budgets.", BUDGETS_OF_RUN_MAX);
    return reply_problem_with_budget(
        r, 402, "budget_exceeded", &refusal->budget_id, reset_ms,
        "A budget does not allow this run: scope %s, period %s, %s of %s credits are used.",
        budget_scope_name((enum budget_scope)refusal->scope), period_name((enum period_kind)refusal->period),
        credits_text(refusal->used, used), credits_text(refusal->limit, limit));
}

int reply_run_verdict(struct request *r, const struct run_request *req, const struct run_answer *answer)
{
    switch (answer->verdict) {
    case RUN_ACCEPTED:
        r->execution_id = req->execution_id;
        run_trace_accepted(r, req);
        return reply_json(r, req->first_response.status, req->first_response.body.at,
                          req->first_response.body.size);
    case RUN_REPLAYED:
        return reply_stored_response(r, &answer->execution_id, &answer->response);
    case RUN_KEY_REUSED:
        return reply_key_reused(r);
    case RUN_IN_FLIGHT:
        reply_header(r, "Retry-After", "1");
        return reply_problem(r, 409, "idempotency_in_flight",
                             "A request with this Idempotency-Key is in progress.");
    case RUN_TOOL_CALL_EXISTS:
        return reply_problem_with_execution(r, 409, "tool_call_exists", &answer->execution_id,
                                            "This tool call has already started an execution.");
    case RUN_INSUFFICIENT_CREDITS:
        return reply_problem(r, 402, "insufficient_credits", "The workspace has insufficient credits.");
    case RUN_BUDGET_EXCEEDED:
        return reply_budget_exceeded(r, &answer->budget);
    case RUN_CONCURRENCY_LIMITED:
        reply_header(r, "Retry-After", "1");
        return reply_problem(r, 429, "concurrency_limited",
                             "The workspace has %lld active executions; the limit is %lld.",
                             (long long)answer->active, (long long)answer->limit);
    case RUN_DELAYED_LIMITED:
        return quota_reply(r, &(struct quota_excess){QUOTA_DELAYED_RUNS, answer->limit});
    case RUN_OVERLAP:
        return reply_problem(r, 409, "schedule_overlap",
                             "A run of the schedule is queued or running, and its overlap is not allow.");
    case RUN_SCHEDULE_KEY_REVOKED:
        return reply_problem(r, 409, "schedule_key_revoked",
                             "The key of the schedule is revoked or has expired; resume the schedule first.");
    case RUN_RESPONDER_CHANGED:
    case RUN_OCCURRENCE_STALE:
    case RUN_OCCURRENCE_EXISTS:
    case RUN_STOP_PREVIOUS:
        return reply_err(r, ERR_RETRY);
    case RUN_UNAVAILABLE:
        return reply_err(r, ERR_UNAVAILABLE);
    case RUN_UNCERTAIN:
        return reply_err(r, ERR_UNCERTAIN);
    default:
        log_error("run.accept_failed", "request=%s verdict=%d", r->id, (int)answer->verdict);
        return reply_err(r, ERR_INTERNAL);
    }
}

static void accept_request(struct request *r, const struct run_request *req, struct run_answer *answer)
{
    struct app *app = r->app;
    if (accept_group_takes(
            req)) /* what follows is one wait for a shared COMMIT; a larger request writes much alone */
        slow_end(r->app);
    if (app->accepts) {
        accept_group_run(app->accepts, r, req, answer);
        r->batch = (int)accept_group_last_batch(app->accepts);
    } else {
        accept_many(app->db, app->redis, r, &req, 1, answer);
        r->batch = 1;
    }
}

/* The body of a replay was purged, or did not fit the slot of a group accept: MariaDB may have it. */
static void find_stored_response(struct request *r, const struct run_request *req, struct run_answer *answer)
{
    const struct idempotency_key key = {req->workspace_id, req->idempotency_key, req->fingerprint};
    struct idempotency_match match;
    *answer = (struct run_answer){.verdict = RUN_UNAVAILABLE};
    if (idempotency_lookup(r->app->db, r, &key, &match) != OK || match.state == IDEMPOTENCY_FREE)
        return; /* free: its 24 hours have just ended */
    answer->verdict = match.state == IDEMPOTENCY_REPLAY ? RUN_REPLAYED : RUN_KEY_REUSED;
    answer->execution_id = match.execution_id;
    answer->response = match.response;
}

/* Nothing was written; the target is validated again. */
static bool is_repeatable(enum run_verdict verdict)
{
    return verdict == RUN_RESPONDER_CHANGED || verdict == RUN_OCCURRENCE_STALE ||
           verdict == RUN_OCCURRENCE_EXISTS || verdict == RUN_STOP_PREVIOUS;
}

static int validate_and_accept(struct request *r, struct run_request *req, target_validator *validate_target,
                               struct run_answer *answer)
{
    answer->verdict = RUN_RESPONDER_CHANGED;
    for (int i = 0; i < VALIDATE_TRIES && is_repeatable(answer->verdict); i++) {
        if (!run_form_check_times(r, req) || !validate_target(r, req, i > 0))
            return reject_or_replay(r, req->idempotency_key, req->fingerprint);
        run_trace_decide(r, req);
        accept_request(r, req, answer);
    }
    if (answer->verdict == RUN_REPLAYED && !answer->response.body.at)
        find_stored_response(r, req, answer);
    return reply_run_verdict(r, req, answer);
}

struct span run_accepted_body(struct request *r, const struct run_accepted *run)
{
    struct json_write *w = json_write_new(r);
    struct span body;
    json_write_open(w, '{');
    json_write_id(w, "execution_id", run->execution);
    json_write_id(w, "workflow_id", run->workflow);
    json_write_text(w, "status", "running");
    json_write_time(w, "created_at", id_ms(run->execution), false);
    if (run->start_ms > 0)
        json_write_time(w, "start_at", run->start_ms, false);
    if (run->expires_ms > 0)
        json_write_time(w, "expires_at", run->expires_ms, false);
    if (id_is_set(run->retry_of))
        json_write_id(w, "retry_of", run->retry_of);
    json_write_close(w, '}');
    body.at = json_write_result(w, &body.size);
    return body;
}

int start_run_without_wait(struct request *r, struct run_request *req, target_validator *validate_target)
{
    struct run_answer answer = {0};
    bool locked = false;
    if (req->idempotency_key.at && idempotency_key_filter_add(&r->app->shared->idempotency_key_filter,
                                                              &req->workspace_id, req->idempotency_key)) {
        answer.verdict = idempotency_cache_get_or_lock(r->app->redis, r, req, &locked, &answer);
        if (answer.verdict != 0)
            return reply_run_verdict(r, req, &answer);
    }
    int status = validate_and_accept(r, req, validate_target, &answer);
    /* Acceptance has released the lock. If the run may have been accepted, the lock expires by itself. */
    if (locked && answer.verdict != RUN_ACCEPTED && answer.verdict != RUN_UNCERTAIN &&
        answer.verdict != RUN_INTERNAL)
        idempotency_cache_unlock(r->app->redis, r, req);
    return status;
}

int start_run(struct request *r, struct run_request *req, target_validator *validate_target)
{
    int status = start_run_without_wait(r, req, validate_target);
    int seconds = wait_from_prefer_header(r);
    if (seconds == 0 || (status != 201 && status != 202) || !id_is_set(&r->execution_id))
        return status;
    return wait_delegate(r, &r->execution_id, seconds,
                         req->first_response.status == 201 ? WAIT_SHAPE_SKILL : WAIT_SHAPE_RUN, false);
}
