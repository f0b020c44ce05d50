/* POST /workflows/{id}/run-async */
#include <string.h>
#include <talloc.h>

#include "core/json.h"
#include "core/json_write.h"
#include "fcgi/handlers.h"
#include "fcgi/request.h"
#include "fcgi/run_form.h"
#include "fcgi/run_start.h"
#include "fcgi/workflow_cache.h"

static struct span first_answer(struct request *r, const struct run_request *q)
{
    struct json_write *w = json_write_new(r);
    struct span body;
    json_write_open(w, '{');
    json_write_id(w, "execution_id", &q->execution_id);
    json_write_id(w, "workflow_id", &q->responder_id);
    json_write_text(w, "status", "running");
    json_write_time(w, "created_at", id_ms(&q->execution_id), false);
    json_write_close(w, '}');
    body.at = json_write_result(w, &body.size);
    return body;
}

static bool judge(struct request *r, struct run_request *q, bool fresh)
{
    const struct workflow *now;
    const struct compiled *compiled;
    enum err e = workflow_cache_now(r, &q->responder_id, fresh, &now);
    if (e == OK)
        e = workflow_cache_compiled(r, &q->responder_id, now->version, &compiled);
    if (e != OK) {
        reply_err(r, e);
        return false;
    }
    if (!run_form_check_inputs(r, q, compiled->program->inputs))
        return false;
    q->version = now->version;
    q->price = now->price;
    q->credits_asked = now->credits;
    return true;
}

int h_workflow_run(struct request *r)
{
    struct run_request q = {.kind = KIND_WORKFLOW, .status = 202};
    if (!request_path_id(r, 0, &q.responder_id) || !run_begin(r, &q) || !run_form_read(r, &q))
        return r->reply.status;
    q.body = first_answer(r, &q);
    return run_start(r, &q, judge);
}
