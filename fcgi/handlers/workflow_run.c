/* POST /workflows/{id}/run-async */
#include <string.h>
#include <talloc.h>

#include "fcgi/cache/workflow_cache.h"
#include "fcgi/forms/run_form.h"
#include "fcgi/forms/start_run.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/handlers/workflow_target.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "json/json.h"

bool workflow_validate_target(struct request *r, struct run_request *req, bool bypass_cache)
{
    struct workflow_cached_version current;
    const struct compiled *compiled;
    enum err e = workflow_cache_current(r, &req->responder_id, bypass_cache, &current);
    if (e == OK)
        e = workflow_cache_compiled(r, &req->responder_id, current.version, &compiled);
    if (e != OK) {
        reply_err(r, e);
        return false;
    }
    if (!run_form_check_inputs(r, req, compiled->program->inputs))
        return false;
    req->version = current.version;
    req->catalog_version = current.catalog_version;
    req->price = current.price;
    req->credits_asked = current.credits;
    return true;
}

int h_workflow_run(struct request *r)
{
    struct run_request req = {.kind = KIND_WORKFLOW, .first_response.status = 202};
    if (!request_path_id(r, 0, &req.responder_id) || !start_run_prepare(r, &req) || !run_form_read(r, &req))
        return reply_rejected(r);
    req.first_response.body =
        run_accepted_body(r, &(struct run_accepted){&req.execution_id, &req.responder_id, &req.retry_of,
                                                    req.start_ms, req.expires_ms});
    return start_run(r, &req, workflow_validate_target);
}
