/* GET, POST /workflows; GET, PUT, DELETE /workflows/{id} */
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "fcgi/cache/workflow_cache.h"
#include "fcgi/forms/page.h"
#include "fcgi/forms/quota_reply.h"
#include "fcgi/forms/start_run.h"
#include "fcgi/forms/workflow_form.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "view/workflow.h"

enum { LIST_MAX = 1000 };

static struct span workflow_body(struct request *r, const struct workflow *stored)
{
    struct json_write *w = json_write_new(r);
    struct span s;
    view_workflow(w, stored);
    s.at = json_write_result(w, &s.size);
    return s;
}

static int reply_workflow(struct request *r, int status, const struct workflow *stored)
{
    struct span body = workflow_body(r, stored);
    return reply_json(r, status, body.at, body.size);
}

int h_workflow_list(struct request *r)
{
    id after;
    int64_t limit;
    struct workflow *list;
    size_t n;
    if (!request_query_cursor(r, "after", "a workflow", &after) ||
        !request_query_int(r, "limit", 1, LIST_MAX, LIST_MAX, &limit))
        return reply_rejected(r);
    enum err e = workflow_list(r->app->db, r, &r->access.workspace_id, &after, limit + 1, &list, &n);
    if (e != OK)
        return reply_err(r, e);
    struct page page = page_begin(r, "workflows", n, limit);
    for (size_t i = 0; i < page.count; i++)
        view_workflow(page.w, &list[i]);
    return page_reply(r, &page, page.has_more ? list[page.count - 1].id.text : NULL);
}

int h_workflow_get(struct request *r)
{
    id workflow;
    struct workflow stored;
    if (!request_path_id(r, 0, &workflow))
        return reply_rejected(r);
    enum err e = workflow_get(r->app->db, r, &r->access.workspace_id, &workflow, &stored);
    return e == OK ? reply_workflow(r, 200, &stored) : reply_err(r, e);
}

/* The body of the response to a creation. It is made before the workflow is stored, because it is stored in
 * the same transaction as the response to replay. */
static struct span created_body(struct request *r, const struct workflow_change *c)
{
    struct workflow stored = {
        .id = c->workflow_id,
        .name = c->name.at,
        .description = c->description.at,
        .tool = c->tool.at,
        .created_by = c->principal_id,
        .created_ms = c->at_ms,
        .updated_ms = c->at_ms,
        .version = 1,
        .program = c->program.at,
        .program_size = c->program.size,
    };
    workflow_warnings(r->app->db, r, &c->workspace_id, c->compiled, &stored.warnings, &stored.warnings_n);
    return workflow_body(r, &stored);
}

static int reply_outcome(struct request *r, const struct workflow_change *c, enum err e,
                         const struct workflow_outcome *o)
{
    if (e == ERR_INVALID)
        return workflow_form_reject(r, c);
    if (e == ERR_CONFLICT && o->tool_is_taken)
        return reply_problem(r, 409, "tool_name_taken",
                             "Another exposed workflow has the tool %s: give one of them another name.",
                             c->tool.at);
    if (e == ERR_LIMIT)
        return quota_reply(r, &o->excess);
    if (e != OK)
        return reply_err(r, e);
    if (o->key.state == IDEMPOTENCY_REPLAY)
        return reply_stored_response(r, &o->key.execution_id, &o->key.response);
    if (o->key.state == IDEMPOTENCY_REUSED)
        return reply_key_reused(r);
    return reply_json(r, c->first_response.status, c->first_response.body.at, c->first_response.body.size);
}

int h_workflow_create(struct request *r)
{
    struct workflow_change c = {
        .is_new = true, .workflow_id = id_new(), .first_response.status = 201, .config = r->app->config};
    struct workflow_outcome o;
    c.at_ms = id_ms(&c.workflow_id);
    if (!request_idempotency(r, &c.idempotency_key, c.fingerprint))
        return reply_rejected(r);
    if (!workflow_form_read(r, &c))
        return reject_or_replay(r, c.idempotency_key, c.fingerprint);
    c.first_response.body = created_body(r, &c);
    enum err e = workflow_put(r->app->db, r, &c, &o);
    return reply_outcome(r, &c, e, &o);
}

int h_workflow_put(struct request *r)
{
    struct workflow_change c = {.at_ms = clock_wall_ms(), .config = r->app->config};
    struct workflow_outcome o;
    struct workflow stored;
    if (!request_path_id(r, 0, &c.workflow_id))
        return reply_rejected(r);
    enum err e = workflow_get_current(r->app->db, r, &r->access.workspace_id, &c.workflow_id, &stored);
    if (e != OK)
        return reply_err(r, e);
    if (!workflow_form_read(r, &c))
        return reply_rejected(r);
    e = workflow_put(r->app->db, r, &c, &o);
    if (e == OK)
        e = workflow_get(r->app->db, r, &r->access.workspace_id, &c.workflow_id, &stored);
    if (e != OK)
        return reply_outcome(r, &c, e, &o);
    workflow_warnings(r->app->db, r, &c.workspace_id, c.compiled, &stored.warnings, &stored.warnings_n);
    return reply_workflow(r, 200, &stored);
}

int h_workflow_delete(struct request *r)
{
    id workflow;
    if (!request_path_id(r, 0, &workflow))
        return reply_rejected(r);
    enum err e = workflow_archive(r->app->db, &r->access.workspace_id, &workflow, clock_wall_ms());
    return e == OK ? reply_empty(r, 204) : reply_err(r, e);
}
