/* GET /credits */
#include <talloc.h>

#include "core/json_write.h"
#include "core/store_workspace.h"
#include "fcgi/app.h"
#include "fcgi/handlers.h"
#include "fcgi/request.h"

int h_credits_get(struct request *r)
{
    struct workspace *workspace;
    size_t n, size;
    enum err e = workspace_list(r->app->db, r, &r->access.workspace_id, &workspace, &n);
    if (e != OK)
        return reply_err(r, e);
    struct json_write *w = json_write_new(r);
    json_write_open(w, '{');
    json_write_credits(w, "balance", workspace->balance);
    json_write_close(w, '}');
    const char *body = json_write_result(w, &size);
    return reply_json(r, 200, body, size);
}
