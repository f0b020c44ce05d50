/* GET /healthz (the pool is alive), /readyz (the pool can serve), /metrics */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/field.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/handlers/load.h"
#include "fcgi/handlers/metric_lines.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "run/run_counts.h"
#include "store/executor.h"
#include "store/metrics.h"

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
    bool executor;
    if (db_ping(r->app->db) != OK || executor_any_alive(r->app->db, &executor) != OK) {
        reply_header(r, "Retry-After", "1");
        return reply_status(r, 503, "unavailable");
    }
    bool redis = redis_call(r->app->redis, r, &ping, 1, NULL) == OK;
    return reply_status(r, 200, redis && executor ? "ok" : "degraded");
}

static char *add_schedule_metrics(char *text, const struct store_metrics *m)
{
    text = talloc_asprintf_append_buffer(
        text,
        "# TYPE millrace_schedules_due gauge\nmillrace_schedules_due %" PRId64 "\n"
        "# TYPE millrace_schedule_lag_seconds gauge\nmillrace_schedule_lag_seconds %" PRId64 ".%03" PRId64
        "\n"
        "# TYPE millrace_recent_occurrences gauge\n",
        m->schedules_due, m->schedule_lag_ms / 1000, m->schedule_lag_ms % 1000);
    for (int s = OCCURRENCE_STARTED; s <= OCCURRENCE_REFUSED; s++)
        text =
            talloc_asprintf_append_buffer(text, "millrace_recent_occurrences{state=\"%s\"} %" PRId64 "\n",
                                          occurrence_state_name((enum occurrence_state)s), m->occurrences[s]);
    return text;
}

static char *add_webhook_metrics(char *text, const struct store_metrics *m)
{
    return talloc_asprintf_append_buffer(
        text,
        "# TYPE millrace_webhook_messages gauge\nmillrace_webhook_messages %" PRId64 "\n"
        "# TYPE millrace_webhook_messages_set_aside gauge\nmillrace_webhook_messages_set_aside %" PRId64 "\n"
        "# TYPE millrace_webhook_pending gauge\nmillrace_webhook_pending %" PRId64 "\n"
        "# TYPE millrace_webhook_failing gauge\nmillrace_webhook_failing %" PRId64 "\n"
        "# TYPE millrace_webhook_disabled gauge\nmillrace_webhook_disabled %" PRId64 "\n"
        "# TYPE millrace_webhook_lag_seconds gauge\nmillrace_webhook_lag_seconds %" PRId64 ".%03" PRId64 "\n",
        m->webhook_messages, m->webhook_set_aside, m->webhook_pending, m->webhook_failing,
        m->webhook_disabled, m->webhook_lag_ms / 1000, m->webhook_lag_ms % 1000);
}

static char *add_bulk_metrics(char *text, const struct store_metrics *m)
{
    text = talloc_asprintf_append_buffer(text,
                                         "# TYPE millrace_bulk_items_pending gauge\n"
                                         "millrace_bulk_items_pending %" PRId64 "\n"
                                         "# TYPE millrace_bulk_jobs gauge\n",
                                         m->bulk_items_pending);
    for (int s = BULK_COLLECTING; s <= BULK_PAUSED; s++)
        text = talloc_asprintf_append_buffer(text, "millrace_bulk_jobs{state=\"%s\"} %" PRId64 "\n",
                                             bulk_state_name((enum bulk_state)s), m->bulk_jobs[s]);
    return text;
}

/* The gauges of the whole installation. */
static char *add_run_metrics(char *text, const struct store_metrics *m, const struct store_load *l,
                             int64_t age_ms)
{
    text = talloc_asprintf_append_buffer(
        text,
        "# TYPE millrace_load_age_seconds gauge\nmillrace_load_age_seconds %" PRId64 ".%03" PRId64 "\n"
        "# TYPE millrace_runs gauge\nmillrace_runs{state=\"queued\"} %" PRId64
        "\nmillrace_runs{state=\"running\"} %" PRId64 "\n"
        "# TYPE millrace_parked_runs gauge\nmillrace_parked_runs %" PRId64 "\n"
        "# TYPE millrace_signal_waits gauge\nmillrace_signal_waits %" PRId64 "\n"
        "# TYPE millrace_delayed_runs gauge\nmillrace_delayed_runs %" PRId64 "\n"
        "# TYPE millrace_wake_lag_seconds gauge\nmillrace_wake_lag_seconds %" PRId64 ".%03" PRId64 "\n"
        "# TYPE millrace_queue_age_seconds gauge\nmillrace_queue_age_seconds %" PRId64 ".%03" PRId64 "\n"
        "# TYPE millrace_executors gauge\nmillrace_executors{state=\"alive\"} %" PRId64
        "\nmillrace_executors{state=\"lost\"} %" PRId64 "\n"
        "# TYPE millrace_recent_losses gauge\nmillrace_recent_losses %" PRId64 "\n"
        "# TYPE millrace_recent_runs gauge\n",
        age_ms / 1000, age_ms % 1000, l->queued, l->running, l->parked, l->signal_waits, l->delayed,
        m->wake_lag_ms / 1000, m->wake_lag_ms % 1000, m->oldest_queued_ms / 1000, m->oldest_queued_ms % 1000,
        m->executors, m->executors_lost, m->lost_count);
    for (int s = STATE_QUEUED; s <= STATE_STOPPED; s++)
        text = talloc_asprintf_append_buffer(text, "millrace_recent_runs{state=\"%s\"} %" PRId64 "\n",
                                             state_name((enum run_state)s), m->recent[s]);
    return add_bulk_metrics(add_webhook_metrics(add_schedule_metrics(text, m), m), m);
}

static char *add_accept_latency(char *text, int64_t us)
{
    return talloc_asprintf_append_buffer(
        text, "# TYPE millrace_accept_latency_seconds gauge\nmillrace_accept_latency_seconds %.6f\n",
        (double)us / 1e6);
}

static char *add_accept_counters(char *text, const struct accept_group_counters *c)
{
    text = talloc_asprintf_append_buffer(
        text,
        "# TYPE millrace_accept_batches_total counter\nmillrace_accept_batches_total %" PRIu64 "\n"
        "# TYPE millrace_accept_runs_total counter\nmillrace_accept_runs_total %" PRIu64 "\n"
        "# TYPE millrace_accept_alone_total counter\nmillrace_accept_alone_total %" PRIu64 "\n"
        "# TYPE millrace_accept_settled_total counter\nmillrace_accept_settled_total %" PRIu64 "\n"
        "# TYPE millrace_accept_withdrawn_total counter\nmillrace_accept_withdrawn_total %" PRIu64 "\n"
        "# TYPE millrace_accept_postponed_total counter\nmillrace_accept_postponed_total %" PRIu64 "\n"
        "# TYPE millrace_accept_busy_rejected_total counter\nmillrace_accept_busy_rejected_total %" PRIu64
        "\n# TYPE millrace_accept_batch_runs histogram\n",
        c->batches, c->runs, c->alone, c->settled, c->withdrawn, c->postponed, c->busy_rejected);
    uint64_t total = 0;
    for (int i = 0; i <= ACCEPT_GROUP_SIZES; i++) {
        char bound[16] = "+Inf";
        if (i < ACCEPT_GROUP_SIZES) {
            snprintf(bound, sizeof bound, "%d", 1 << i);
            total += c->sizes[i];
        }
        text = metrics_bucket_text(text, "millrace_accept_batch_runs", "", bound, total);
        text = talloc_strdup_append_buffer(text, "\n");
    }
    return talloc_asprintf_append_buffer(
        text, "millrace_accept_batch_runs_sum %" PRIu64 "\nmillrace_accept_batch_runs_count %" PRIu64 "\n",
        c->runs, total);
}

static char *add_slow_requests(char *text, struct slow_share *slow)
{
    unsigned waiting, places = slow_share_places(slow, &waiting);
    return talloc_asprintf_append_buffer(
        text,
        "# TYPE millrace_slow_requests gauge\nmillrace_slow_requests{state=\"running\"} %u\n"
        "millrace_slow_requests{state=\"waiting\"} %u\n"
        "# TYPE millrace_slow_waited_total counter\nmillrace_slow_waited_total %" PRIu64 "\n"
        "# TYPE millrace_slow_rejected_total counter\nmillrace_slow_rejected_total %" PRIu64 "\n"
        "# TYPE millrace_slow_reads_total counter\nmillrace_slow_reads_total %" PRIu64 "\n",
        places > waiting ? places - waiting : 0, waiting, slow->waited, slow->rejected, slow->slow_reads);
}

/* True if the client names OpenMetrics and does not prefer plain text. */
static bool prefers_open_metrics(struct request *r)
{
    const char *accept = request_list(r, "HTTP_ACCEPT");
    if (!accept)
        return false;
    struct field_match open = field_match_media(r, accept, "application", "openmetrics-text");
    struct field_match plain = field_match_media(r, accept, "text", "plain");
    if (open.weight == 0 || open.specificity < 3)
        return false;
    return plain.specificity < 3 || open.weight >= plain.weight;
}

int h_health_metrics(struct request *r)
{
    bool is_open = prefers_open_metrics(r);
    struct store_metrics m;
    struct load_numbers load;
    int64_t age_ms;
    struct accept_group_counters c = accept_group_counters(r->app->shared->accept_group);
    char *text = metrics_text(r, &r->app->shared->metrics, r->app->route_names, r->app->routes_n, is_open);
    text = add_accept_latency(text, accept_latency_us(&r->app->shared->accept_latency, clock_boot_ms()));
    text = add_accept_counters(text, &c);
    text = add_slow_requests(text, &r->app->shared->slow);
    text = metrics_add_host(text, r);
    bool is_up = store_metrics_read(r->app->db, &m) == OK && load_read(r, &load, &age_ms) == OK;
    text = talloc_asprintf_append_buffer(text, "# TYPE millrace_up gauge\nmillrace_up %d\n", is_up);
    if (is_up) {
        run_counts_flush(r->app->db);
        text = metrics_add_installation(add_run_metrics(text, &m, &load.load, age_ms), r, &m, &load);
    }
    if (is_open)
        text = metrics_open_text(r, text);
    return reply_bytes(r, 200,
                       is_open ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                               : "text/plain; version=0.0.4",
                       text, strlen(text));
}
