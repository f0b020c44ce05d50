/* Whether the pool lives, whether it can work, and what it counts. */
#include <talloc.h>

#include "core/store.h"
#include "fcgi/app.h"
#include "fcgi/handlers.h"
#include "fcgi/request.h"
#include "fcgi/routes.h"

#include <string.h>

static int reply_status(struct request *r, int status, const char *word)
{
    const char *body = talloc_asprintf(r, "{\"status\":\"%s\"}", word);
    return reply_json(r, status, body, strlen(body));
}

int h_health_alive(struct request *r)
{
    return reply_status(r, 200, "ok");
}

int h_health_ready(struct request *r)
{
    struct redis_arg ping = redis_text("PING");
    if (store_ping(r->app->db) != OK) {
        reply_header(r, "Retry-After", "1");
        return reply_status(r, 503, "unavailable");
    }
    bool redis = redis_call(r->app->redis, r, &ping, 1, NULL) == OK;
    return reply_status(r, 200, redis ? "ok" : "degraded");
}

int h_health_metrics(struct request *r)
{
    unsigned n;
    const char *const *names = route_names(&n);
    const char *text = metrics_text(r, &r->app->shared->metrics, names, n);
    return reply_bytes(r, 200, "text/plain; version=0.0.4", text, strlen(text));
}
