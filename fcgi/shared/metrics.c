#include "fcgi/shared/metrics.h"

#include <inttypes.h>
#include <talloc.h>

void metrics_count(struct metrics *m, unsigned route, int status, int64_t us)
{
    if (route >= METRICS_ROUTES || status < 0 || status >= METRICS_STATUSES)
        return;
    atomic_fetch_add_explicit(&m->requests[route][status], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&m->us[route], (uint64_t)us, memory_order_relaxed);
}

static char *add_route(char *text, struct metrics *m, unsigned route, const char *name)
{
    uint64_t all = 0;
    for (int status = 0; status < METRICS_STATUSES; status++) {
        uint64_t n = atomic_load_explicit(&m->requests[route][status], memory_order_relaxed);
        all += n;
        if (n > 0)
            text = talloc_asprintf_append_buffer(
                text, "millrace_requests_total{route=\"%s\",status=\"%d\"} %" PRIu64 "\n", name, status, n);
    }
    uint64_t us = atomic_load_explicit(&m->us[route], memory_order_relaxed);
    if (all > 0)
        text = talloc_asprintf_append_buffer(
            text, "millrace_request_seconds_total{route=\"%s\"} %" PRIu64 ".%06" PRIu64 "\n", name,
            us / 1000000, us % 1000000);
    return text;
}

static char *add_batch_items(char *text, struct metrics *m)
{
    static const char *const names[BATCH_ITEM_RESULTS] = {
        [BATCH_ITEM_ACCEPTED] = "accepted",
        [BATCH_ITEM_REPLAYED] = "replayed",
        [BATCH_ITEM_REJECTED] = "rejected",
    };
    text = talloc_strdup_append_buffer(text, "# TYPE millrace_batch_items_total counter\n");
    for (int i = 0; i < BATCH_ITEM_RESULTS; i++)
        text = talloc_asprintf_append_buffer(text, "millrace_batch_items_total{result=\"%s\"} %" PRIu64 "\n",
                                             names[i], (uint64_t)atomic_load(&m->batch_items[i]));
    return text;
}

static char *add_refused_budget(char *text, struct metrics *m)
{
    static const char *const scopes[METRICS_BUDGET_SCOPES] = {"too_many",  "workspace", "key",
                                                              "principal", "responder", "tag"};
    text = talloc_strdup_append_buffer(text, "# TYPE millrace_refused_budget_total counter\n");
    for (int i = 0; i < METRICS_BUDGET_SCOPES; i++)
        text =
            talloc_asprintf_append_buffer(text, "millrace_refused_budget_total{scope=\"%s\"} %" PRIu64 "\n",
                                          scopes[i], (uint64_t)atomic_load(&m->refused_budget[i]));
    return text;
}

char *metrics_text(void *ctx, struct metrics *m, const char *const *names, unsigned names_n)
{
    char *text = talloc_strdup(ctx, "# TYPE millrace_requests_total counter\n"
                                    "# TYPE millrace_request_seconds_total counter\n");
    for (unsigned i = 0; i < names_n && i < METRICS_ROUTES; i++)
        text = add_route(text, m, i, names[i]);
    text = add_batch_items(text, m);
    text = add_refused_budget(text, m);
    return talloc_asprintf_append_buffer(
        text,
        "# TYPE millrace_refused_late_total counter\nmillrace_refused_late_total %" PRIu64 "\n"
        "# TYPE millrace_refused_unknown_keys_total counter\n"
        "millrace_refused_unknown_keys_total %" PRIu64 "\n"
        "# TYPE millrace_refused_cross_site_total counter\n"
        "millrace_refused_cross_site_total %" PRIu64 "\n"
        "# TYPE millrace_console_sessions_total counter\n"
        "millrace_console_sessions_total %" PRIu64 "\n"
        "# TYPE millrace_workers gauge\nmillrace_workers %d\n"
        "# TYPE millrace_worker_respawns_total counter\n"
        "millrace_worker_respawns_total %" PRIu64 "\n"
        "# TYPE millrace_redis_fallbacks_total counter\n"
        "millrace_redis_fallbacks_total %" PRIu64 "\n"
        "# TYPE millrace_db_lost_total counter\n"
        "millrace_db_lost_total %" PRIu64 "\n"
        "# TYPE millrace_db_settled_total counter\n"
        "millrace_db_settled_total %" PRIu64 "\n",
        (uint64_t)atomic_load(&m->refused_late), (uint64_t)atomic_load(&m->refused_unknown),
        (uint64_t)atomic_load(&m->refused_cross_site), (uint64_t)atomic_load(&m->sessions),
        atomic_load(&m->workers), (uint64_t)atomic_load(&m->respawns),
        (uint64_t)atomic_load(&m->redis_fallbacks), (uint64_t)atomic_load(&m->db_lost),
        (uint64_t)atomic_load(&m->db_settled));
}
