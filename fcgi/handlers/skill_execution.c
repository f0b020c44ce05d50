/* GET /spaces/{space}/skills/executions/{id} and …/by-chat-tool-call/{call}, POST …/{id}/cancel */
#include <talloc.h>

#include "base/clock.h"
#include "fcgi/forms/skill_reply.h"
#include "fcgi/forms/start_run.h"
#include "fcgi/forms/stop_reply.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "fcgi/http/request_body.h"
#include "run/stop.h"

int h_skill_execution_get(struct request *r)
{
    if (!require_own_space(r) || !request_path_id(r, 1, &r->execution_id))
        return reply_rejected(r);
    return skill_reply(r, 200, &r->execution_id);
}

int h_skill_execution_by_call(struct request *r)
{
    if (!require_own_space(r))
        return reply_rejected(r);
    enum err e =
        execution_by_tool_call(r->app->db, r, &r->access.workspace_id, r->path_values[1], &r->execution_id);
    return e == OK ? skill_reply(r, 200, &r->execution_id) : reply_err(r, e);
}

/* The execution as it will be after the stop. The body is made before the stop, because the stop's
 * transaction stores it as the response to replay. */
static struct span cancelled_body(struct request *r, struct skill_execution *exec,
                                  const struct stop_request *req)
{
    struct skill_execution *children = talloc_array(r, struct skill_execution, exec->children_n + 1);
    for (size_t i = 0; i < exec->children_n; i++) {
        children[i] = exec->children[i];
        if (state_is_terminal(children[i].state))
            continue;
        children[i].state = STATE_STOPPED;
        children[i].reason = REASON_STOPPED;
        children[i].ended_ms = req->at_ms;
    }
    exec->children = children;
    exec->state = STATE_STOPPED;
    exec->reason = REASON_STOPPED;
    exec->ended_ms = req->at_ms;
    exec->error = req->error;
    return skill_execution_body(r, exec);
}

int h_skill_execution_cancel(struct request *r)
{
    struct stop_request req = {
        .workspace_id = r->access.workspace_id,
        .kind = KIND_SKILL,
        .first_response.status = 200,
        .at_ms = clock_wall_ms(),
        .error = "stopped by the caller",
    };
    struct idempotency_match replay = {0};
    struct skill_execution exec;
    json_object *body; /* optional; parsed only for validity and otherwise ignored */
    if (!require_own_space(r) || !request_path_id(r, 1, &req.execution_id) ||
        !request_idempotency(r, &req.idempotency_key, req.fingerprint) || !request_json(r, &body))
        return reply_rejected(r);
    r->execution_id = req.execution_id;
    enum err e = skill_execution_get(r->app->db, r, &req.workspace_id, &req.execution_id, &exec);
    if (e != OK) {
        reply_err(r, e);
        return reject_or_replay(r, req.idempotency_key, req.fingerprint);
    }
    req.first_response.body = cancelled_body(r, &exec, &req);
    enum stop_verdict verdict = stop_run(r->app->db, r->app->redis, r, &req, &replay);
    return stop_reply(r, &req, verdict, &replay);
}
