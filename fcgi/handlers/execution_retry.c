/* POST /executions/{id}/retry: a new root with the same input, tags and metadata, of the same version. */
#include <string.h>
#include <talloc.h>

#include "fcgi/forms/execution_scope.h"
#include "fcgi/forms/start_run.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/http/app.h"
#include "fcgi/http/request.h"
#include "store/execution.h"
#include "store/model.h"
#include "store/skill.h"
#include "store/workflow.h"
#include "view/skill.h"

static const char **file_names(struct request *r, json_object *list, size_t *n_r)
{
    *n_r = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    const char **names = talloc_array(r, const char *, *n_r + 1);
    for (size_t i = 0; i < *n_r; i++)
        names[i] = json_object_get_string(json_object_array_get_idx(list, i));
    return names;
}

/* What was particular to the skill's run, with this request's key. */
static bool renew_extra(struct request *r, struct run_request *q, const struct skill *skill, const char *old)
{
    json_object *was = NULL;
    const char *why, *alias;
    if (old && json_parse(r, old, strlen(old), JSON_DEPTH_MAX, &was, &why) != OK)
        was = NULL;
    struct skill_extra extra = {
        .slug = skill->slug,
        .label = skill->label,
        .model = json_get_text(was, "model"),
        .idempotency_key = q->idempotency_key,
    };
    extra.file_source_ids = file_names(r, json_get(was, "file_source_ids"), &extra.file_source_ids_n);
    enum err e = extra.model ? model_resolve(r->app->db, r, &q->workspace_id, extra.model, &alias) : OK;
    if (e == ERR_NOT_FOUND)
        reply_problem(r, 422, "model_not_allowed", "The model is not one that this space may use any more.");
    else if (e != OK)
        reply_err(r, e);
    struct json_write *w = json_write_new(r);
    view_skill_extra(w, &extra);
    q->extra.at = json_write_result(w, &q->extra.size);
    return e == OK;
}

static bool judge_skill(struct request *r, struct run_request *q, const struct execution *x)
{
    struct skill then, now;
    enum err e = skill_version(r->app->db, r, &q->workspace_id, &q->responder_id, q->version, &then);
    if (e == OK) /* one that was removed takes no runs */
        e = skill_now(r->app->db, r, &q->workspace_id, then.slug, &now);
    if (e != OK) {
        reply_err(r, e);
        return false;
    }
    q->credits_asked = then.credits;
    q->price = then.price;
    return renew_extra(r, q, &then, x->extra);
}

static bool judge_workflow(struct request *r, struct run_request *q)
{
    enum err e = workflow_terms(r->app->db, r, &q->workspace_id, &q->responder_id, q->version,
                                &q->credits_asked, &q->price);
    if (e != OK)
        reply_err(r, e);
    return e == OK;
}

/* What can be run again: something that has ended, and whose input is still there. */
static bool may_retry(struct request *r, const struct execution *x)
{
    if (!state_is_terminal(x->state))
        reply_problem(r, 409, "execution_not_terminal", "The execution has not ended yet.");
    else if (x->purged_ms)
        reply_problem(r, 400, "invalid_request", "The execution was purged: its input is gone.");
    else
        return true;
    return false;
}

static bool judge(struct request *r, struct run_request *q, bool fresh)
{
    struct execution x;
    (void)fresh; /* nothing is remembered */
    enum err e = execution_get(r->app->db, r, &q->workspace_id, &q->retry_of, &x);
    if (e != OK) {
        reply_err(r, e);
        return false;
    }
    if (!may_retry(r, &x))
        return false;
    bool is_skill = x.kind == KIND_SKILL;
    const id no_workflow = {{0}};
    q->kind = x.kind;
    q->responder_id = x.responder_id;
    q->version = x.version;
    q->agentic = x.agentic;
    q->input = span_text(x.input);
    q->tags = span_text(x.tags);
    q->metadata = span_text(x.metadata);
    q->body = run_first_answer(r, &q->execution_id, is_skill ? &no_workflow : &q->responder_id, &q->retry_of);
    return is_skill ? judge_skill(r, q, &x) : judge_workflow(r, q);
}

int h_execution_retry(struct request *r)
{
    struct run_request q = {.pinned = true, .status = 202};
    json_object *body; /* may be there, says nothing */
    if (!request_path_id(r, 0, &q.retry_of) || !run_begin(r, &q) || !request_json(r, &body))
        return r->reply.status;
    if (!execution_may_run(r, &q.retry_of))
        return run_refuse(r, q.idempotency_key, q.fingerprint);
    return run_start(r, &q, judge);
}
