#include "fcgi/http/slow.h"

#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"

static bool try_for(struct request *r, int64_t wait_ms)
{
    const struct app *app = r->app;
    if (!app || !app->shared || !id_is_set(&r->access.workspace_id))
        return true;
    return slow_share_begin(&app->shared->slow, app->slot, &r->access.workspace_id,
                            (unsigned)app->config->api.workers, wait_ms);
}

bool slow_try(struct request *r)
{
    return try_for(r, SLOW_SHARE_WAIT_MS);
}

bool slow_try_now(struct request *r)
{
    return try_for(r, 0);
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
