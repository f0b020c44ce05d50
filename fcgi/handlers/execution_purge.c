/* DELETE /executions/{id} */
#include "fcgi/handlers/handlers.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "maintenance/purge.h"

int h_execution_purge(struct request *r)
{
    struct app *app = r->app;
    if (!request_path_id(r, 0, &r->execution_id))
        return reply_rejected(r);
    enum err e = purge_execution(app->db, app->redis, &r->access.workspace_id, &r->execution_id);
    if (e == ERR_CONFLICT)
        return reply_problem(r, 409, "execution_not_terminal", "The execution has not ended yet.");
    return e == OK ? reply_empty(r, 204) : reply_err(r, e);
}
