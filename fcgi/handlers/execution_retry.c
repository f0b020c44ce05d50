/* POST /executions/{id}/retry: starts a new root execution with the same tags and metadata, and unless the
 * body says otherwise with the same input and version. */
#include <string.h>
#include <talloc.h>

#include "fcgi/cache/workflow_cache.h"
#include "fcgi/forms/execution_scope.h"
#include "fcgi/forms/run_form.h"
#include "fcgi/forms/start_run.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/handlers/retry_from.h"
#include "fcgi/handlers/workflow_target.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "fcgi/http/request_body.h"
#include "retry/retry.h"
#include "store/execution.h"
#include "store/workflow.h"

static bool validate_skill_version(struct request *r, struct run_request *req, const struct execution *exec)
{
    enum err e = retry_take_skill(r->app->db, r, exec, req);
    if (e == ERR_INVALID) {
        struct json_problems *p = json_problems_new(r);
        json_problems_add(p, "/model", "is not configured for this workspace any more");
        reply_problems(r, 422, "model_not_allowed", p,
                       "The model is no longer configured for this workspace.");
    } else if (e != OK)
        reply_err(r, e);
    return e == OK;
}

static bool validate_workflow_version(struct request *r, struct run_request *req)
{
    enum err e = workflow_version_prices(r->app->db, r, &req->workspace_id, &req->responder_id, req->version,
                                         &req->credits_asked, &req->price);
    if (e != OK)
        reply_err(r, e);
    return e == OK;
}

/* An execution can be retried if it has ended and its input was not purged. False: the reply is set. */
static bool check_retryable(struct request *r, const struct execution *exec)
{
    if (!state_is_terminal(exec->state))
        reply_problem(r, 409, "execution_not_terminal", "The execution has not ended yet.");
    else if (exec->purged_ms)
        reply_problem(r, 400, "invalid_request",
                      "The execution was purged and its input erased; start a new one.");
    else
        return true;
    return false;
}

/* Decides version, inputs and steps of the retry of a workflow's execution. */
static bool retry_workflow(struct request *r, struct run_request *req, const struct execution *exec,
                           const struct retry_form *form, bool bypass_cache)
{
    const struct compiled *compiled;
    if (form->inputs.at)
        req->input = form->inputs;
    req->pinned = !form->current;
    if (form->current) /* checks the inputs, too */
        return workflow_validate_target(r, req, bypass_cache) && retry_form_plan(r, exec, form, req);
    if (!validate_workflow_version(r, req))
        return false;
    if (form->inputs.at) {
        enum err e = workflow_cache_compiled(r, &req->responder_id, req->version, &compiled);
        if (e != OK)
            reply_err(r, e);
        if (e != OK || !run_form_check_inputs(r, req, compiled->program->inputs))
            return false;
    }
    return retry_form_plan(r, exec, form, req);
}

static bool reject_skill_form(struct request *r)
{
    reply_problem(r, 400, "invalid_request",
                  "from, inputs and version are for executions of workflows; start the skill anew.");
    return false;
}

static bool retry_validate_target(struct request *r, struct run_request *req, bool bypass_cache)
{
    struct execution exec;
    struct retry_form form;
    if (!retry_form_read(r, &form))
        return false;
    enum err e = execution_get(r->app->db, r, &req->workspace_id, &req->retry_of, &exec);
    if (e == OK)
        e = execution_read_trace_state(r->app->db, r, &exec);
    if (e != OK) {
        reply_err(r, e);
        return false;
    }
    if (!check_retryable(r, &exec))
        return false;
    bool is_skill = exec.kind == KIND_SKILL;
    const id no_workflow = {{0}};
    retry_take(req, &exec);
    req->first_response.body = run_accepted_body(
        r, &(struct run_accepted){&req->execution_id, is_skill ? &no_workflow : &req->responder_id,
                                  &req->retry_of, 0, 0});
    if (!is_skill)
        return retry_workflow(r, req, &exec, &form, bypass_cache);
    if (form.from || form.current || form.inputs.at)
        return reject_skill_form(r);
    return validate_skill_version(r, req, &exec);
}

int h_execution_retry(struct request *r)
{
    struct run_request req = {.pinned = true, .first_response.status = 202};
    struct retry_form form; /* the target's validator reads it again */
    if (!request_path_id(r, 0, &req.retry_of) || !start_run_prepare(r, &req) || !retry_form_read(r, &form))
        return reply_rejected(r);
    if (!require_execute_scope(r, &req.retry_of))
        return reject_or_replay(r, req.idempotency_key, req.fingerprint);
    return start_run(r, &req, retry_validate_target);
}
