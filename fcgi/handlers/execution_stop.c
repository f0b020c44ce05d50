/* POST /executions/{id}/stop */
#include <string.h>
#include <talloc.h>

#include "fcgi/forms/execution_scope.h"
#include "fcgi/forms/start_run.h"
#include "fcgi/forms/stop_reply.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "fcgi/http/request_body.h"
#include "run/stop.h"
#include "json/json_write.h"

static struct span stop_body(struct request *r, const id *execution)
{
    struct json_write *w = json_write_new(r);
    struct span body;
    json_write_open(w, '{');
    json_write_id(w, "execution_id", execution);
    json_write_text(w, "status", "stopped");
    json_write_close(w, '}');
    body.at = json_write_result(w, &body.size);
    return body;
}

int h_execution_stop(struct request *r)
{
    struct stop_request req = {.workspace_id = r->access.workspace_id,
                               .first_response.status = 200,
                               .error = "stopped by the caller"};
    struct idempotency_match replay = {0};
    json_object *body; /* optional; parsed only for validity and otherwise ignored */
    if (!request_path_id(r, 0, &req.execution_id) ||
        !request_idempotency(r, &req.idempotency_key, req.fingerprint) || !request_json(r, &body))
        return reply_rejected(r);
    if (!require_execute_scope(r, &req.execution_id))
        return reject_or_replay(r, req.idempotency_key, req.fingerprint);
    r->execution_id = req.execution_id;
    req.first_response.body = stop_body(r, &req.execution_id);
    enum stop_verdict verdict = stop_run(r->app->db, r->app->redis, r, &req, &replay);
    return stop_reply(r, &req, verdict, &replay);
}
