#include "fcgi/execution_reply.h"

#include "core/json_write.h"
#include "core/view_execution.h"
#include "fcgi/app.h"
#include "fcgi/request.h"
#include "fcgi/workflow_cache.h"

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

int execution_reply(struct request *r, const struct execution *x, bool with_steps)
{
    struct view_steps steps = {0};
    enum err e = with_steps ? load_steps(r, x, &steps) : OK;
    if (e != OK)
        return reply_err(r, e);
    struct json_write *w = json_write_new(r);
    size_t size;
    view_execution(w, x, with_steps ? &steps : NULL);
    const char *body = json_write_result(w, &size);
    return reply_json(r, 200, body, size);
}
