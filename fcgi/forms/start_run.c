#include "fcgi/forms/start_run.h"

#include <string.h>
#include <talloc.h>

#include "base/log.h"
#include "fcgi/forms/execution_reply.h"
#include "fcgi/forms/skill_reply.h"
#include "fcgi/forms/wait.h"
#include "fcgi/http/app.h"
#include "fcgi/http/request.h"
#include "fcgi/shared/accept_group.h"
#include "store/execution.h"
#include "json/json_write.h"

enum {
    JUDGE_TRIES = 5
}; /* a workflow that changes more often than this while we look is changed by a loop */

bool run_begin(struct request *r, struct run_request *q)
{
    q->execution_id = id_new();
    q->workspace_id = r->access.workspace_id;
    q->principal_id = r->access.principal_id;
    q->key_id = r->access.key_id;
    q->price = -1;
    q->source = SOURCE_STANDALONE;
    return request_idempotency(r, &q->idempotency_key, q->fingerprint);
}

/* The stored answer was purged, or too large to come along: the execution itself is shown. */
static int replay_execution(struct request *r, const struct run_answer *a)
{
    struct execution x;
    enum err e = execution_get(r->app->db, r, &r->access.workspace_id, &a->execution_id, &x);
    if (e != OK)
        return reply_err(r, e);
    if (x.kind == KIND_SKILL && a->status != 202) /* a retry is answered in our own shape */
        return skill_reply(r, a->status, &x.id);
    return execution_reply(r, a->status, &x, false);
}

int run_replay(struct request *r, const struct run_answer *a)
{
    r->reply = (struct reply){0};
    r->execution_id = a->execution_id;
    reply_header(r, "Idempotent-Replayed", "true");
    reply_header(r, "X-Idempotent-Replayed", "true");
    if (!a->body.at && id_is_set(&a->execution_id))
        return replay_execution(r, a);
    return reply_json(r, a->status, a->body.at ? a->body.at : "", a->body.size);
}

int run_key_reused(struct request *r)
{
    r->reply = (struct reply){0};
    return reply_problem(r, 422, "idempotency_key_reused",
                         "This Idempotency-Key was used for another request.");
}

int run_refuse(struct request *r, struct span key, const uint8_t fingerprint[32])
{
    struct run_answer a = {0};
    if (!key.at || r->reply.status == 403 || r->reply.status == 503)
        return r->reply.status;
    switch ((int)accept_find_key(r->app->db, r, &r->access.workspace_id, key, fingerprint, &a)) {
    case 0:
        return r->reply.status;
    case RUN_REPLAYED:
        return run_replay(r, &a);
    case RUN_KEY_REUSED:
        return run_key_reused(r);
    default:
        r->reply = (struct reply){0};
        return reply_err(r, ERR_BUSY);
    }
}

static int reply_verdict(struct request *r, const struct run_request *q, const struct run_answer *a)
{
    switch (a->verdict) {
    case RUN_ACCEPTED:
        r->execution_id = q->execution_id;
        return reply_json(r, q->status, q->body.at, q->body.size);
    case RUN_REPLAYED:
        return run_replay(r, a);
    case RUN_KEY_REUSED:
        return run_key_reused(r);
    case RUN_IN_FLIGHT:
        reply_header(r, "Retry-After", "1");
        return reply_problem(r, 409, "idempotency_in_flight",
                             "A request with this Idempotency-Key is under way.");
    case RUN_TOOL_CALL_EXISTS:
        return reply_problem_about(r, 409, "tool_call_exists", &a->execution_id,
                                   "This tool call has started its execution already.");
    case RUN_INSUFFICIENT_CREDITS:
        return reply_problem(r, 402, "insufficient_credits", "The workspace has too few credits for this.");
    case RUN_CONCURRENCY_LIMITED:
        reply_header(r, "Retry-After", "1");
        return reply_problem(r, 429, "concurrency_limited",
                             "The workspace has %lld of at most %lld executions under way.",
                             (long long)a->active, (long long)a->limit);
    case RUN_RESPONDER_CHANGED:
    case RUN_UNAVAILABLE:
        return reply_err(r, ERR_BUSY);
    case RUN_UNCERTAIN:
        return reply_err(r, ERR_UNCERTAIN);
    default:
        log_error("run.broken", "request=%s verdict=%d", r->id, (int)a->verdict);
        return reply_err(r, ERR_INTERNAL);
    }
}

static void accept_one(struct request *r, const struct run_request *q, struct run_answer *a)
{
    struct app *app = r->app;
    if (app->accepts) {
        accept_group_run(app->accepts, r, q, a);
        r->batch = (int)accept_group_last_batch(app->accepts);
    } else {
        accept_batch(app->db, app->redis, r, &q, 1, 0, a);
        r->batch = 1;
    }
}

static int judge_and_accept(struct request *r, struct run_request *q, run_judge *judge, struct run_answer *a)
{
    a->verdict = RUN_RESPONDER_CHANGED;
    for (int i = 0; i < JUDGE_TRIES && a->verdict == RUN_RESPONDER_CHANGED; i++) {
        if (!judge(r, q, i > 0))
            return run_refuse(r, q->idempotency_key, q->fingerprint);
        accept_one(r, q, a);
    }
    if (a->verdict == RUN_REPLAYED && !a->body.at) { /* it did not fit the slot, or was purged */
        a->verdict = accept_find_key(r->app->db, r, &q->workspace_id, q->idempotency_key, q->fingerprint, a);
        if (a->verdict == 0) /* its 24 hours have just ended */
            a->verdict = RUN_UNAVAILABLE;
    }
    return reply_verdict(r, q, a);
}

struct span run_first_answer(struct request *r, const id *execution, const id *workflow, const id *retry_of)
{
    struct json_write *w = json_write_new(r);
    struct span body;
    json_write_open(w, '{');
    json_write_id(w, "execution_id", execution);
    json_write_id(w, "workflow_id", workflow);
    json_write_text(w, "status", "running");
    json_write_time(w, "created_at", id_ms(execution), false);
    if (id_is_set(retry_of))
        json_write_id(w, "retry_of", retry_of);
    json_write_close(w, '}');
    body.at = json_write_result(w, &body.size);
    return body;
}

static int start(struct request *r, struct run_request *q, run_judge *judge)
{
    struct run_answer a = {0};
    bool claimed = false;
    if (q->idempotency_key.at &&
        recent_keys_note(&r->app->shared->recent_keys, &q->workspace_id, q->idempotency_key)) {
        a.verdict = accept_look(r->app->redis, r, q, &claimed, &a);
        if (a.verdict != 0)
            return reply_verdict(r, q, &a);
    }
    int status = judge_and_accept(r, q, judge, &a);
    /* Acceptance has freed the claim; where it may have been done, the claim runs out by itself. */
    if (claimed && a.verdict != RUN_ACCEPTED && a.verdict != RUN_UNCERTAIN && a.verdict != RUN_BROKEN)
        accept_release(r->app->redis, r, q);
    return status;
}

int run_start(struct request *r, struct run_request *q, run_judge *judge)
{
    int status = start(r, q, judge);
    int seconds = wait_preferred(r);
    if (seconds == 0 || (status != 201 && status != 202) || !id_is_set(&r->execution_id))
        return status;
    return wait_reply(r, &r->execution_id, seconds, q->status == 201 ? WAIT_SKILL : WAIT_RUN, false);
}
