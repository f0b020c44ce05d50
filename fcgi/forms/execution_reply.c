#include "fcgi/forms/execution_reply.h"

#include "fcgi/cache/name_cache.h"
#include "fcgi/cache/workflow_cache.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "view/execution.h"
#include "json/json_write.h"

static enum err load_steps(struct request *r, const struct execution *exec, struct view_steps *steps)
{
    struct execution_step *list;
    enum err e = execution_steps(r->app->db, r, &exec->id, &list, &steps->count);
    steps->list = list;
    if (e != OK || exec->kind != KIND_WORKFLOW)
        return e;
    const struct compiled *compiled;
    e = workflow_cache_compiled(r, &exec->responder_id, exec->version, &compiled);
    if (e == OK)
        steps->program = compiled->program;
    return err_is_transient(e) ? e : OK; /* without the program the steps are shown by number */
}

/* Sets the total cost of the execution and its descendants. Only an execution with children needs a query. */
static enum err add_total(struct request *r, struct execution *exec)
{
    exec->total_credits = exec->cost - exec->refunded;
    exec->has_total = true;
    return exec->has_children ? execution_tree_credits(r->app->db, &exec->root_id, &exec->id,
                                                       exec->total_credits, &exec->total_credits)
                              : OK;
}

int execution_reply(struct request *r, int status, const struct execution *stored, bool with_steps)
{
    struct execution exec = *stored;
    struct view_steps steps = {.hidden = !with_steps};
    struct execution *shown = &exec;
    enum err e = name_cache_fill(r, &shown, 1);
    if (e == OK)
        e = add_total(r, &exec);
    if (e == OK && with_steps)
        e = load_steps(r, &exec, &steps);
    if (e == OK)
        e = view_read_results(r->app->db, r, &exec, &steps);
    if (e != OK)
        return reply_err(r, e);
    struct json_write *w = json_write_new(r);
    view_execution(w, &exec, &steps);
    return reply_written(r, status, w);
}
