/* GET /spaces/{space}/skills/executions/{id} and …/by-chat-tool-call/{call}, POST …/{id}/cancel */
#include <talloc.h>

#include "base/clock.h"
#include "fcgi/forms/skill_reply.h"
#include "fcgi/forms/start_run.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/http/app.h"
#include "fcgi/http/request.h"
#include "run/stop.h"

int h_skill_execution_get(struct request *r)
{
    if (!skill_space_is_own(r) || !request_path_id(r, 1, &r->execution_id))
        return r->reply.status;
    return skill_reply(r, 200, &r->execution_id);
}

int h_skill_execution_by_call(struct request *r)
{
    if (!skill_space_is_own(r))
        return r->reply.status;
    enum err e =
        execution_by_tool_call(r->app->db, r, &r->access.workspace_id, r->path_values[1], &r->execution_id);
    return e == OK ? skill_reply(r, 200, &r->execution_id) : reply_err(r, e);
}

/* As it will be once it is stopped: made beforehand, because the answer is stored with the stop. */
static struct span stopped(struct request *r, struct skill_execution *x, const struct stop_request *q)
{
    struct skill_execution *children = talloc_array(r, struct skill_execution, x->children_n + 1);
    for (size_t i = 0; i < x->children_n; i++) {
        children[i] = x->children[i];
        if (state_is_terminal(children[i].state))
            continue;
        children[i].state = STATE_STOPPED;
        children[i].reason = REASON_STOPPED;
        children[i].ended_ms = q->at_ms;
    }
    x->children = children;
    x->state = STATE_STOPPED;
    x->reason = REASON_STOPPED;
    x->ended_ms = q->at_ms;
    x->error = q->error;
    return skill_body(r, x);
}

static int reply_verdict(struct request *r, const struct stop_request *q, enum stop_verdict verdict,
                         const struct run_answer *a)
{
    switch (verdict) {
    case STOP_DONE:
        return reply_json(r, q->status, q->body.at, q->body.size);
    case STOP_REPLAYED:
        return run_replay(r, a);
    case STOP_KEY_REUSED:
        return run_key_reused(r);
    case STOP_NOT_FOUND:
        return reply_not_found(r);
    case STOP_TERMINAL:
        return reply_problem(r, 400, "execution_terminal", "The execution has ended already.");
    case STOP_UNCERTAIN:
        return reply_err(r, ERR_UNCERTAIN);
    default:
        return reply_err(r, ERR_BUSY);
    }
}

int h_skill_execution_cancel(struct request *r)
{
    struct stop_request q = {
        .workspace_id = r->access.workspace_id,
        .kind = KIND_SKILL,
        .status = 200,
        .at_ms = clock_wall_ms(),
        .error = "stopped by the caller",
    };
    struct run_answer a = {0};
    struct skill_execution x;
    json_object *body; /* may be there, says nothing */
    if (!skill_space_is_own(r) || !request_path_id(r, 1, &q.execution_id) ||
        !request_idempotency(r, &q.idempotency_key, q.fingerprint) || !request_json(r, &body))
        return r->reply.status;
    r->execution_id = q.execution_id;
    enum err e = skill_execution_get(r->app->db, r, &q.workspace_id, &q.execution_id, &x);
    if (e != OK) {
        reply_err(r, e);
        return run_refuse(r, q.idempotency_key, q.fingerprint);
    }
    q.body = stopped(r, &x, &q);
    enum stop_verdict verdict = stop_run(r->app->db, r->app->redis, r, &q, &a);
    return reply_verdict(r, &q, verdict, &a);
}
