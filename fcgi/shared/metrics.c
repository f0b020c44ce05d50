#define _GNU_SOURCE /* mempcpy */
#include "fcgi/shared/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

void metrics_count(struct metrics *m, unsigned route, int status, int64_t us)
{
    if (route >= METRICS_ROUTES || status < 0 || status >= METRICS_STATUSES)
        return;
    atomic_fetch_add_explicit(&m->requests[route][status], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&m->us[route], (uint64_t)us, memory_order_relaxed);
}

const int64_t metrics_second_bounds[METRICS_BUCKETS - 1] = {
    1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000};

/* --- histograms --- */

static bool hold(struct metrics_exemplar *e)
{
    int is_free = 0;
    return atomic_compare_exchange_strong(&e->is_held, &is_free, 1);
}

void metrics_time(struct metrics_histogram *h, const int64_t bounds[METRICS_BUCKETS - 1], int64_t value,
                  const char *execution, const char *trace_id, int64_t now_ms)
{
    int bucket = 0;
    while (bucket < METRICS_BUCKETS - 1 && value > bounds[bucket])
        bucket++;
    atomic_fetch_add_explicit(&h->sum, (uint64_t)(value > 0 ? value : 0), memory_order_relaxed);
    atomic_fetch_add_explicit(&h->n[bucket], 1, memory_order_relaxed);
    struct metrics_exemplar *e = &h->exemplars[bucket];
    if (!execution || !*execution || !trace_id || !hold(e))
        return;
    snprintf(e->labels, sizeof e->labels, "execution_id=\"%s\",trace_id=\"%s\"", execution, trace_id);
    e->value = value;
    e->at_ms = now_ms;
    atomic_store(&e->is_held, 0);
}

char *metrics_bucket_text(char *text, const char *name, const char *labels, const char *bound, uint64_t n)
{
    return talloc_asprintf_append_buffer(text, "%s_bucket{%s%sle=\"%s\"} %" PRIu64, name, labels,
                                         *labels ? "," : "", bound, n);
}

static char *add_exemplar(char *text, struct metrics_exemplar *e, int64_t units)
{
    if (!hold(e))
        return text;
    if (*e->labels)
        text = talloc_asprintf_append_buffer(text, " # {%s} %.6f %.3f", e->labels,
                                             (double)e->value / (double)units, (double)e->at_ms / 1000);
    atomic_store(&e->is_held, 0);
    return text;
}

char *metrics_histogram_text(char *text, struct metrics_histogram *h, const int64_t *bounds, int64_t units,
                             const char *name, const char *labels, bool with_exemplars)
{
    uint64_t total = 0;
    for (int b = 0; b < METRICS_BUCKETS; b++) {
        char bound[32] = "+Inf";
        if (b < METRICS_BUCKETS - 1)
            snprintf(bound, sizeof bound, "%g", (double)bounds[b] / (double)units);
        total += atomic_load_explicit(&h->n[b], memory_order_relaxed);
        text = metrics_bucket_text(text, name, labels, bound, total);
        if (with_exemplars)
            text = add_exemplar(text, &h->exemplars[b], units);
        text = talloc_strdup_append_buffer(text, "\n");
    }
    const char *open = *labels ? "{" : "", *close = *labels ? "}" : "";
    return talloc_asprintf_append_buffer(text, "%s_sum%s%s%s %.6f\n%s_count%s%s%s %" PRIu64 "\n", name, open,
                                         labels, close, (double)h->sum / (double)units, name, open, labels,
                                         close, total);
}

static char *add_accepts(char *text, struct metrics *m, bool with_exemplars)
{
    static const char *const labels[ACCEPT_OUTCOMES] = {
        [ACCEPT_ACCEPTED] = "outcome=\"accepted\"",
        [ACCEPT_REPLAYED] = "outcome=\"replayed\"",
        [ACCEPT_REJECTED] = "outcome=\"rejected\"",
        [ACCEPT_UNAVAILABLE] = "outcome=\"unavailable\"",
    };
    text = talloc_strdup_append_buffer(text, "# TYPE millrace_accept_seconds histogram\n");
    for (int i = 0; i < ACCEPT_OUTCOMES; i++)
        text = metrics_histogram_text(text, &m->accepts[i], metrics_second_bounds, 1000000,
                                      "millrace_accept_seconds", labels[i], with_exemplars);
    return text;
}

static char *add_mcp(char *text, struct metrics *m)
{
    static const char *const methods[MCP_COUNTS] = {
        [MCP_COUNT_INITIALIZE] = "initialize", [MCP_COUNT_PING] = "ping",   [MCP_COUNT_LIST] = "tools/list",
        [MCP_COUNT_CALL] = "tools/call",       [MCP_COUNT_OTHER] = "other",
    };
    text = talloc_strdup_append_buffer(text, "# TYPE millrace_mcp_requests_total counter\n");
    for (int i = 0; i < MCP_COUNTS; i++)
        text = talloc_asprintf_append_buffer(text, "millrace_mcp_requests_total{method=\"%s\"} %" PRIu64 "\n",
                                             methods[i], (uint64_t)atomic_load(&m->mcp[i]));
    return text;
}

char *metrics_open_text(void *ctx, const char *text)
{
    char *out = talloc_array(ctx, char, strlen(text) + sizeof "# EOF\n");
    char *to = out;
    for (const char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        static const char counter[] = "_total counter";
        size_t n = (size_t)(end - line), tail = sizeof counter - 1;
        bool is_type =
            strncmp(line, "# TYPE ", 7) == 0 && n > tail && strncmp(end - tail, counter, tail) == 0;
        size_t head = is_type ? n - tail : n;
        to = mempcpy(to, line, head);
        to = is_type ? mempcpy(to, " counter", 8) : to;
        *to++ = '\n';
    }
    memcpy(to, "# EOF\n", sizeof "# EOF\n");
    return out;
}

/* --- counters --- */

static char *add_requests(char *text, struct metrics *m, unsigned route, const char *name)
{
    for (int status = 0; status < METRICS_STATUSES; status++) {
        uint64_t n = atomic_load_explicit(&m->requests[route][status], memory_order_relaxed);
        if (n > 0)
            text = talloc_asprintf_append_buffer(
                text, "millrace_requests_total{route=\"%s\",status=\"%d\"} %" PRIu64 "\n", name, status, n);
    }
    return text;
}

static char *add_request_time(char *text, struct metrics *m, unsigned route, const char *name)
{
    uint64_t us = atomic_load_explicit(&m->us[route], memory_order_relaxed);
    if (us > 0)
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

static char *add_object_requests(char *text, struct object_counts *n, int action)
{
    for (int outcome = 0; outcome < OBJECT_OUTCOMES; outcome++)
        text = talloc_asprintf_append_buffer(
            text, "millrace_object_requests_total{action=\"%s\",outcome=\"%s\"} %" PRIu64 "\n",
            object_action_name((enum object_action)action), object_outcome_name((enum object_outcome)outcome),
            (uint64_t)atomic_load(&n->requests[action][outcome]));
    return text;
}

static char *add_objects(char *text, struct object_counts *n)
{
    text = talloc_strdup_append_buffer(text, "# TYPE millrace_object_requests_total counter\n");
    for (int i = 0; i < OBJECT_ACTIONS; i++)
        text = add_object_requests(text, n, i);
    text = talloc_strdup_append_buffer(text, "# TYPE millrace_object_bytes_total counter\n");
    for (int i = 0; i < OBJECT_ACTIONS; i++)
        text = talloc_asprintf_append_buffer(text, "millrace_object_bytes_total{action=\"%s\"} %" PRIu64 "\n",
                                             object_action_name((enum object_action)i),
                                             (uint64_t)atomic_load(&n->bytes[i]));
    text = talloc_strdup_append_buffer(text, "# TYPE millrace_object_seconds_total counter\n");
    for (int i = 0; i < OBJECT_ACTIONS; i++) {
        uint64_t us = atomic_load(&n->us[i]);
        text = talloc_asprintf_append_buffer(
            text, "millrace_object_seconds_total{action=\"%s\"} %" PRIu64 ".%06" PRIu64 "\n",
            object_action_name((enum object_action)i), us / 1000000, us % 1000000);
    }
    return text;
}

static char *add_spans(char *text, const struct otlp_counters *c)
{
    return talloc_asprintf_append_buffer(
        text,
        "# TYPE millrace_spans_exported_total counter\n"
        "millrace_spans_exported_total %" PRIu64 "\n"
        "# TYPE millrace_spans_dropped_total counter\n"
        "millrace_spans_dropped_total{reason=\"queue_full\"} %" PRIu64 "\n"
        "millrace_spans_dropped_total{reason=\"limit\"} %" PRIu64 "\n"
        "millrace_spans_dropped_total{reason=\"collector\"} %" PRIu64 "\n",
        (uint64_t)atomic_load(&c->exported), (uint64_t)atomic_load(&c->dropped_full),
        (uint64_t)atomic_load(&c->dropped_limit), (uint64_t)atomic_load(&c->dropped_failed));
}

char *metrics_text(void *ctx, struct metrics *m, const char *const *names, unsigned names_n,
                   bool with_exemplars)
{
    char *text = talloc_strdup(ctx, "# TYPE millrace_requests_total counter\n");
    for (unsigned i = 0; i < names_n && i < METRICS_ROUTES; i++)
        text = add_requests(text, m, i, names[i]);
    text = talloc_strdup_append_buffer(text, "# TYPE millrace_request_seconds_total counter\n");
    for (unsigned i = 0; i < names_n && i < METRICS_ROUTES; i++)
        text = add_request_time(text, m, i, names[i]);
    text = add_accepts(text, m, with_exemplars);
    text = add_mcp(text, m);
    text = add_batch_items(text, m);
    text = add_refused_budget(text, m);
    text = add_objects(text, &m->objects);
    text = add_spans(text, &m->spans);
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
