/* GET /internal/waited: a request whose wait is over, handed back by the event daemon through nginx. Nobody
 * else can reach it; it carries the client's key still. */
#include "fcgi/forms/execution_reply.h"
#include "fcgi/forms/skill_reply.h"
#include "fcgi/forms/start_run.h"
#include "fcgi/forms/wait.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/http/app.h"
#include "fcgi/http/request.h"
#include "store/execution.h"

static int reply_unfinished(struct request *r, const struct execution *x)
{
    static const id none;
    const id *workflow = x->kind == KIND_SKILL ? &none : &x->responder_id;
    struct span body = run_first_answer(r, &x->id, workflow, &x->retry_of);
    return reply_json(r, 202, body.at, body.size);
}

int h_waited(struct request *r)
{
    struct execution x;
    bool with_steps;
    if (!request_query_id(r, "execution", &r->execution_id) || !request_query_bool(r, "steps", &with_steps))
        return r->reply.status;
    enum wait_form form = wait_form_read(request_query(r, "form"));
    enum err e = execution_get(r->app->db, r, &r->access.workspace_id, &r->execution_id, &x);
    if (e != OK)
        return reply_err(r, e);
    if (form == WAIT_GET)
        return execution_reply(r, 200, &x, with_steps);
    if (!state_is_terminal(x.state))
        return form == WAIT_SKILL ? skill_reply(r, 201, &x.id) : reply_unfinished(r, &x);
    reply_header(r, "Preference-Applied", "wait");
    return form == WAIT_SKILL ? skill_reply(r, 200, &x.id) : execution_reply(r, 200, &x, false);
}
