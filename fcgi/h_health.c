/* Whether the pool lives, whether it can work, and what it counts. */
#include <inttypes.h>
#include <string.h>
#include <talloc.h>

#include "core/store.h"
#include "fcgi/app.h"
#include "fcgi/handlers.h"
#include "fcgi/request.h"
#include "fcgi/routes.h"

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
    struct accept_group_counters c = accept_group_counters(r->app->shared->accept_group);
    char *text = metrics_text(r, &r->app->shared->metrics, names, n);
    text = talloc_asprintf_append_buffer(
        text,
        "# TYPE millrace_accept_batches_total counter\nmillrace_accept_batches_total %" PRIu64 "\n"
        "# TYPE millrace_accept_runs_total counter\nmillrace_accept_runs_total %" PRIu64 "\n"
        "# TYPE millrace_accept_alone_total counter\nmillrace_accept_alone_total %" PRIu64 "\n"
        "# TYPE millrace_accept_settled_total counter\nmillrace_accept_settled_total %" PRIu64 "\n"
        "# TYPE millrace_accept_withdrawn_total counter\nmillrace_accept_withdrawn_total %" PRIu64 "\n",
        c.batches, c.runs, c.alone, c.settled, c.withdrawn);
    return reply_bytes(r, 200, "text/plain; version=0.0.4", text, strlen(text));
}
