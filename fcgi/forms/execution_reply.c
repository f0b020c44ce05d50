#include "fcgi/forms/execution_reply.h"

#include "fcgi/cache/name_cache.h"
#include "fcgi/cache/workflow_cache.h"
#include "fcgi/http/app.h"
#include "fcgi/http/request.h"
#include "view/execution.h"
#include "json/json_write.h"

static enum err load_steps(struct request *r, const struct execution *x, struct view_steps *v)
{
    struct execution_step *list;
    enum err e = execution_steps(r->app->db, r, &x->id, &list, &v->count);
    v->list = list;
    if (e != OK || x->kind != KIND_WORKFLOW)
        return e;
    const struct compiled *compiled;
    e = workflow_cache_compiled(r, &x->responder_id, x->version, &compiled);
    if (e == OK)
        v->program = compiled->program;
    return e == ERR_BUSY ? e : OK; /* a program that is gone: steps by number */
}

/* What it cost with everything below it: only a run that has children needs to be asked for more. */
static enum err add_total(struct request *r, struct execution *x)
{
    x->total_credits = x->cost - x->refunded;
    x->has_total = true;
    return x->has_children
               ? nesting_credits(r->app->db, &x->root_id, &x->id, x->total_credits, &x->total_credits)
               : OK;
}

int execution_reply(struct request *r, int status, const struct execution *read, bool with_steps)
{
    struct execution x = *read;
    struct view_steps steps = {0};
    struct execution *shown = &x;
    enum err e = name_cache_fill(r, &shown, 1);
    if (e == OK)
        e = add_total(r, &x);
    if (e == OK && with_steps)
        e = load_steps(r, &x, &steps);
    if (e != OK)
        return reply_err(r, e);
    struct json_write *w = json_write_new(r);
    size_t size;
    view_execution(w, &x, with_steps ? &steps : NULL);
    const char *body = json_write_result(w, &size);
    return reply_json(r, status, body, size);
}
