/* GET /executions/{id} */
#include "store/execution.h"
#include "fcgi/forms/execution_reply.h"
#include "fcgi/forms/wait.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"

int h_execution_get(struct request *r)
{
    id execution;
    bool with_steps;
    int64_t wait_s;
    struct execution exec;
    if (!request_path_id(r, 0, &execution) || !request_query_bool(r, "include_step_results", &with_steps) ||
        !request_query_int(r, "wait", 0, WAIT_MAX_S, 0, &wait_s))
        return reply_rejected(r);
    r->execution_id = execution;
    enum err e = execution_get(r->app->db, r, &r->access.workspace_id, &execution, &exec);
    if (e != OK)
        return reply_err(r, e);
    if (wait_s > 0 && !state_is_terminal(exec.state))
        return wait_delegate(r, &execution, (int)wait_s, WAIT_SHAPE_EXECUTION, with_steps);
    return execution_reply(r, 200, &exec, with_steps);
}
