/* GET /internal/waited: a request whose wait is over, passed back by the event daemon through nginx. The
 * location is internal to nginx, so clients cannot reach it. The request still carries the client's key. */
#include "fcgi/forms/execution_reply.h"
#include "fcgi/forms/skill_reply.h"
#include "fcgi/forms/start_run.h"
#include "fcgi/forms/wait.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "store/execution.h"

static int reply_unfinished(struct request *r, const struct execution *exec)
{
    static const id none;
    const id *workflow = exec->kind == KIND_SKILL ? &none : &exec->responder_id;
    struct span body = run_accepted_body(r, &(struct run_accepted){&exec->id, workflow, &exec->retry_of,
                                                                   exec->start_at_ms, exec->expires_at_ms});
    return reply_json(r, 202, body.at, body.size);
}

int h_wait_resume(struct request *r)
{
    struct execution exec;
    bool with_steps;
    if (!request_query_id(r, "execution", &r->execution_id) || !request_query_bool(r, "steps", &with_steps))
        return reply_rejected(r);
    enum wait_response_shape shape = wait_response_shape_parse(request_query(r, "form"));
    enum err e = execution_get(r->app->db, r, &r->access.workspace_id, &r->execution_id, &exec);
    if (e != OK)
        return reply_err(r, e);
    if (shape == WAIT_SHAPE_EXECUTION)
        return execution_reply(r, 200, &exec, with_steps);
    if (!state_is_terminal(exec.state))
        return shape == WAIT_SHAPE_SKILL ? skill_reply(r, 201, &exec.id) : reply_unfinished(r, &exec);
    reply_header(r, "Preference-Applied", "wait");
    return shape == WAIT_SHAPE_SKILL ? skill_reply(r, 200, &exec.id) : execution_reply(r, 200, &exec, false);
}
