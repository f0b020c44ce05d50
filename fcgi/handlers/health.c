/* GET /healthz (the pool is alive), /readyz (the pool can serve), /metrics */
#include <inttypes.h>
#include <string.h>
#include <talloc.h>

#include "fcgi/handlers/handlers.h"
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
        "# TYPE millrace_webhook_pending gauge\nmillrace_webhook_pending %" PRId64 "\n"
        "# TYPE millrace_webhook_failing gauge\nmillrace_webhook_failing %" PRId64 "\n"
        "# TYPE millrace_webhook_disabled gauge\nmillrace_webhook_disabled %" PRId64 "\n"
        "# TYPE millrace_webhook_lag_seconds gauge\nmillrace_webhook_lag_seconds %" PRId64 ".%03" PRId64 "\n",
        m->webhook_messages, m->webhook_pending, m->webhook_failing, m->webhook_disabled,
        m->webhook_lag_ms / 1000, m->webhook_lag_ms % 1000);
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

/* Appends the metrics that MariaDB knows. While it is unreachable they are left out and millrace_up is 0. */
static char *add_run_metrics(char *text, struct db *db)
{
    struct store_metrics m;
    bool up = store_metrics_read(db, &m) == OK;
    text = talloc_asprintf_append_buffer(text, "# TYPE millrace_up gauge\nmillrace_up %d\n", up);
    if (!up)
        return text;
    text = talloc_asprintf_append_buffer(
        text,
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
        m.queued, m.running, m.parked, m.signal_waits, m.delayed, m.wake_lag_ms / 1000, m.wake_lag_ms % 1000,
        m.oldest_queued_ms / 1000, m.oldest_queued_ms % 1000, m.executors, m.executors_lost, m.lost_count);
    for (int s = STATE_QUEUED; s <= STATE_STOPPED; s++)
        text = talloc_asprintf_append_buffer(text, "millrace_recent_runs{state=\"%s\"} %" PRId64 "\n",
                                             state_name((enum run_state)s), m.recent[s]);
    return add_bulk_metrics(add_webhook_metrics(add_schedule_metrics(text, &m), &m), &m);
}

static const char *kind_label(int kind)
{
    return kind == KIND_SKILL ? "skill" : "workflow";
}

/* The histogram `measure` of one kind; the rows are in the order of the buckets. */
static char *add_histogram(char *text, const struct store_run_count *list, size_t n, int measure, int kind,
                           const char *name)
{
    int64_t buckets[RUN_COUNTS_BUCKETS] = {0};
    int64_t sum_ms = 0;
    int64_t total = 0;
    for (size_t i = 0; i < n; i++) {
        if (list[i].measure != measure || list[i].kind != kind)
            continue;
        buckets[list[i].place] = list[i].n;
        sum_ms += list[i].sum_ms;
    }
    for (int b = 0; b < RUN_COUNTS_BUCKETS; b++) {
        total += buckets[b];
        const char *bound = b < RUN_COUNTS_BUCKETS - 1
                                ? talloc_asprintf(text, "%g", (double)run_counts_bounds_ms[b] / 1000)
                                : "+Inf";
        text = talloc_asprintf_append_buffer(text, "%s_bucket{kind=\"%s\",le=\"%s\"} %" PRId64 "\n", name,
                                             kind_label(kind), bound, total);
    }
    return talloc_asprintf_append_buffer(text,
                                         "%s_sum{kind=\"%s\"} %" PRId64 ".%03" PRId64 "\n"
                                         "%s_count{kind=\"%s\"} %" PRId64 "\n",
                                         name, kind_label(kind), sum_ms / 1000, sum_ms % 1000, name,
                                         kind_label(kind), total);
}

/* What has begun and ended since the installation, in all processes. */
static char *add_run_counts(char *text, struct db *db)
{
    static const struct {
        enum run_measure measure;
        const char *name;
    } histograms[] = {{MEASURE_QUEUED, "millrace_run_queued_seconds"},
                      {MEASURE_RUNNING, "millrace_run_seconds"}};
    struct store_run_count *list;
    size_t n;
    if (store_metrics_counts(db, text, &list, &n) != OK)
        return text;
    text = talloc_asprintf_append_buffer(text, "# TYPE millrace_runs_ended_total counter\n");
    for (size_t i = 0; i < n; i++) {
        const char *reason = reason_name((enum failure_reason)list[i].reason);
        if (list[i].measure == MEASURE_ENDS)
            text = talloc_asprintf_append_buffer(
                text, "millrace_runs_ended_total{kind=\"%s\",state=\"%s\",reason=\"%s\"} %" PRId64 "\n",
                kind_label(list[i].kind), state_name((enum run_state)list[i].place), reason ? reason : "",
                list[i].n);
    }
    for (size_t h = 0; h < sizeof histograms / sizeof *histograms; h++) {
        text = talloc_asprintf_append_buffer(text, "# TYPE %s histogram\n", histograms[h].name);
        for (int kind = KIND_WORKFLOW; kind <= KIND_SKILL; kind++)
            text = add_histogram(text, list, n, histograms[h].measure, kind, histograms[h].name);
    }
    return text;
}

int h_health_metrics(struct request *r)
{
    struct accept_group_counters c = accept_group_counters(r->app->shared->accept_group);
    char *text = metrics_text(r, &r->app->shared->metrics, r->app->route_names, r->app->routes_n);
    text = talloc_asprintf_append_buffer(
        text,
        "# TYPE millrace_accept_batches_total counter\nmillrace_accept_batches_total %" PRIu64 "\n"
        "# TYPE millrace_accept_runs_total counter\nmillrace_accept_runs_total %" PRIu64 "\n"
        "# TYPE millrace_accept_alone_total counter\nmillrace_accept_alone_total %" PRIu64 "\n"
        "# TYPE millrace_accept_settled_total counter\nmillrace_accept_settled_total %" PRIu64 "\n"
        "# TYPE millrace_accept_withdrawn_total counter\nmillrace_accept_withdrawn_total %" PRIu64 "\n"
        "# TYPE millrace_accept_postponed_total counter\nmillrace_accept_postponed_total %" PRIu64 "\n"
        "# TYPE millrace_accept_busy_rejected_total counter\nmillrace_accept_busy_rejected_total %" PRIu64
        "\n",
        c.batches, c.runs, c.alone, c.settled, c.withdrawn, c.postponed, c.busy_rejected);
    struct slow_share *slow = &r->app->shared->slow;
    unsigned waiting, places = slow_share_places(slow, &waiting);
    text = talloc_asprintf_append_buffer(
        text,
        "# TYPE millrace_slow_requests gauge\nmillrace_slow_requests{state=\"running\"} %u\n"
        "millrace_slow_requests{state=\"waiting\"} %u\n"
        "# TYPE millrace_slow_waited_total counter\nmillrace_slow_waited_total %" PRIu64 "\n"
        "# TYPE millrace_slow_rejected_total counter\nmillrace_slow_rejected_total %" PRIu64 "\n",
        places > waiting ? places - waiting : 0, waiting, slow->waited, slow->rejected);
    text = add_run_metrics(text, r->app->db);
    text = add_run_counts(text, r->app->db);
    return reply_bytes(r, 200, "text/plain; version=0.0.4", text, strlen(text));
}
