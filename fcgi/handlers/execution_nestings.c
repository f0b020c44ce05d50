/* GET /executions/nestings */
#include <talloc.h>

#include "fcgi/cache/name_cache.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "store/execution_tree.h"
#include "view/execution.h"
#include "json/json_write.h"

/* Finds the requested execution by its id or by the chat message that started it. False: the request is
 * rejected. */
static bool find_execution(struct request *r, id *execution_r)
{
    id message;
    if (!request_query_id(r, "executionId", execution_r) || !request_query_id(r, "chatMessageId", &message))
        return false;
    if (id_is_set(execution_r) == id_is_set(&message)) {
        reply_problem(r, 400, "invalid_request", "Exactly one of executionId and chatMessageId is required.");
        return false;
    }
    if (id_is_set(execution_r))
        return true;
    enum err e = execution_tree_by_message(r->app->db, r, &r->access.workspace_id, &message, execution_r);
    if (e != OK)
        reply_err(r, e);
    return e == OK;
}

static enum err fill_node_names(struct request *r, struct execution_tree_node *nodes, size_t n)
{
    struct execution **each = talloc_array(r, struct execution *, n);
    for (size_t i = 0; i < n; i++)
        each[i] = &nodes[i].execution;
    return name_cache_fill(r, each, n);
}

int h_execution_nestings(struct request *r)
{
    struct execution_tree_node *nodes;
    size_t n;
    if (!find_execution(r, &r->execution_id))
        return reply_rejected(r);
    enum err e = execution_tree_read(r->app->db, r, &r->access.workspace_id, &r->execution_id, &nodes, &n);
    if (e == OK)
        e = fill_node_names(r, nodes, n);
    if (e != OK)
        return reply_err(r, e);
    struct json_write *w = json_write_new(r);
    view_execution_tree(w, nodes, 0);
    return reply_written(r, 200, w);
}
