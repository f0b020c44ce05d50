/* POST /workflows/{id}/run-async */
#include <string.h>
#include <talloc.h>

#include "fcgi/cache/workflow_cache.h"
#include "fcgi/forms/run_form.h"
#include "fcgi/forms/start_run.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/http/request.h"
#include "json/json.h"

static bool judge(struct request *r, struct run_request *q, bool fresh)
{
    struct workflow_known now;
    const struct compiled *compiled;
    enum err e = workflow_cache_now(r, &q->responder_id, fresh, &now);
    if (e == OK)
        e = workflow_cache_compiled(r, &q->responder_id, now.version, &compiled);
    if (e != OK) {
        reply_err(r, e);
        return false;
    }
    if (!run_form_check_inputs(r, q, compiled->program->inputs))
        return false;
    q->version = now.version;
    q->responders = now.responders;
    q->price = now.price;
    q->credits_asked = now.credits;
    return true;
}

int h_workflow_run(struct request *r)
{
    struct run_request q = {.kind = KIND_WORKFLOW, .status = 202};
    if (!request_path_id(r, 0, &q.responder_id) || !run_begin(r, &q) || !run_form_read(r, &q))
        return r->reply.status;
    q.body = run_first_answer(r, &q.execution_id, &q.responder_id, &q.retry_of);
    return run_start(r, &q, judge);
}
