#include "fcgi/http/slow.h"

#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"

bool slow_try(struct request *r)
{
    const struct app *app = r->app;
    if (!app || !app->shared || !id_is_set(&r->access.workspace_id))
        return true;
    return slow_share_begin(&app->shared->slow, app->slot, &r->access.workspace_id,
                            (unsigned)app->config->api.workers, SLOW_SHARE_WAIT_MS);
}

bool slow_begin(struct request *r)
{
    if (slow_try(r))
        return true;
    reply_header(r, "Retry-After", "1");
    reply_problem(r, 429, "concurrency_limited",
                  "The workspace has as many requests with large or slow inputs in progress as it may have.");
    return false;
}

void slow_end(struct request *r)
{
    if (r->app && r->app->shared)
        slow_share_end(&r->app->shared->slow, r->app->slot);
}
