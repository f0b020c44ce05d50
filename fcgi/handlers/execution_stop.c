/* POST /executions/{id}/stop */
#include <string.h>
#include <talloc.h>

#include "fcgi/forms/execution_scope.h"
#include "fcgi/forms/start_run.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/http/app.h"
#include "fcgi/http/request.h"
#include "run/stop.h"
#include "json/json_write.h"

static struct span stopped(struct request *r, const id *execution)
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

int h_execution_stop(struct request *r)
{
    struct stop_request q = {
        .workspace_id = r->access.workspace_id, .status = 200, .error = "stopped by the caller"};
    struct run_answer a = {0};
    json_object *body; /* may be there, says nothing */
    if (!request_path_id(r, 0, &q.execution_id) ||
        !request_idempotency(r, &q.idempotency_key, q.fingerprint) || !request_json(r, &body))
        return r->reply.status;
    if (!execution_may_run(r, &q.execution_id))
        return run_refuse(r, q.idempotency_key, q.fingerprint);
    r->execution_id = q.execution_id;
    q.body = stopped(r, &q.execution_id);
    enum stop_verdict verdict = stop_run(r->app->db, r->app->redis, r, &q, &a);
    return reply_verdict(r, &q, verdict, &a);
}
