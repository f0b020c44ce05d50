#include "fcgi/handlers/metric_lines.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/tally.h"
#include "fcgi/handlers/stream_gauges.h"
#include "fcgi/http/app.h"
#include "push/destination.h"
#include "run/states.h"
#include "store/usage.h"
#include "workflow/program.h"

/* --- this host --- */

/* Workers that answer a request, and of these, those that receive an upload. */
static void count_busy(const struct fcgi_shared *shared, int64_t *busy_r, int64_t *uploads_r)
{
    *busy_r = *uploads_r = 0;
    for (int i = 0; i < WORKER_SLOTS; i++)
        *busy_r += atomic_load(&shared->current[i].set);
    for (int i = 0; i < UPLOAD_SHARE_SLOTS; i++)
        *uploads_r += shared->uploads.workspaces[i] != 0;
}

struct pool_use {
    const char *pool;
    int64_t size, in_use;
};

static char *add_gauges(char *text, const char *name, const struct pool_use *pools, size_t n, bool sizes)
{
    text = talloc_asprintf_append_buffer(text, "# TYPE %s gauge\n", name);
    for (size_t i = 0; i < n; i++)
        text = talloc_asprintf_append_buffer(text, "%s{pool=\"%s\"} %" PRId64 "\n", name, pools[i].pool,
                                             sizes ? pools[i].size : pools[i].in_use);
    return text;
}

static char *add_streams(char *text, const struct stream_gauges *g)
{
    return talloc_asprintf_append_buffer(
        text,
        "# TYPE millrace_streams gauge\n"
        "millrace_streams{kind=\"events\"} %lld\nmillrace_streams{kind=\"calls\"} %lld\n"
        "millrace_streams{kind=\"feeds\"} %lld\nmillrace_streams{kind=\"waits\"} %lld\n",
        g->events, g->calls, g->feeds, g->waits);
}

char *metrics_add_host(char *text, struct request *r)
{
    const struct config *c = r->app->config;
    struct redis_arg ping = redis_text("PING");
    struct statvfs disk;
    int64_t busy, uploads;
    count_busy(r->app->shared, &busy, &uploads);
    struct stream_gauges g = {0};
    bool daemon = stream_gauges_read(c->stream.socket, &g);
    bool redis = redis_call(r->app->redis, r, &ping, 1, NULL) == OK;
    text =
        talloc_asprintf_append_buffer(text, "# TYPE millrace_redis_up gauge\nmillrace_redis_up %d\n", redis);
    if (statvfs(c->files.dir, &disk) == 0)
        text = talloc_asprintf_append_buffer(
            text,
            "# TYPE millrace_files_free_bytes gauge\nmillrace_files_free_bytes %" PRIu64
            "\n# TYPE millrace_files_size_bytes gauge\nmillrace_files_size_bytes %" PRIu64 "\n",
            (uint64_t)disk.f_bavail * disk.f_frsize, (uint64_t)disk.f_blocks * disk.f_frsize);
    const struct pool_use pools[] = {{"api_workers", c->api.workers, busy > uploads ? busy - uploads : 0},
                                     {"upload_workers", c->api.uploads_workers, uploads},
                                     {"streams", g.max, g.events + g.calls + g.feeds + g.waits}};
    size_t n = daemon ? 3 : 2;
    text = talloc_asprintf_append_buffer(text, "# TYPE millrace_stream_up gauge\nmillrace_stream_up %d\n",
                                         daemon);
    text = daemon ? add_streams(text, &g) : text;
    text = add_gauges(text, "millrace_host_pool_size", pools, n, true);
    return add_gauges(text, "millrace_host_pool_in_use", pools, n, false);
}

/* --- since the installation --- */

struct counts {
    const struct store_run_count *list;
    size_t n;
};

/* A label of a count: "" if its value has no name in this build, which leaves the count out. */
typedef const char *label_text(void *ctx, int kind, int reason);

static const char *kind_label(void *ctx, int kind, int reason)
{
    return kind == KIND_SKILL ? "kind=\"skill\"" : kind == KIND_WORKFLOW ? "kind=\"workflow\"" : NULL;
}

static const char *step_label(void *ctx, int kind, int reason)
{
#define STEP_NAME(NAME, name, ...) [STEP_TYPE_##NAME] = #name,
    static const char *const names[] = {STEP_TYPE_ROWS(STEP_NAME)};
#undef STEP_NAME
    if (kind < 0 || kind >= STEP_TYPES || (reason != 1 && reason != 2))
        return NULL;
    return talloc_asprintf(ctx, "type=\"%s\",outcome=\"%s\"", names[kind],
                           reason == 1 ? "completed" : "failed");
}

static const char *webhook_label(void *ctx, int kind, int reason)
{
    return kind == 1 ? "outcome=\"delivered\"" : kind == 2 ? "outcome=\"failed\"" : NULL;
}

static const char *program_label(void *ctx, int kind, int reason)
{
    static const char *const names[TALLY_PROGRAMS] = {[TALLY_OTHER] = "program=\"other\"",
                                                      [TALLY_API] = "program=\"api\"",
                                                      [TALLY_EXECUTOR] = "program=\"executor\""};
    return kind >= 0 && kind < TALLY_PROGRAMS ? names[kind] : NULL;
}

static char *add_histogram(char *text, const struct counts *c, enum tally_measure measure, int kind,
                           int reason, const char *name, const char *labels)
{
    int64_t buckets[TALLY_BUCKETS] = {0}, sum = 0, units = tally_units_per_second(measure);
    uint64_t total = 0;
    for (size_t i = 0; i < c->n; i++) {
        const struct store_run_count *row = &c->list[i];
        if (row->measure != (int)measure || row->kind != kind || row->reason != reason)
            continue;
        buckets[row->place] = row->n;
        sum += row->sum_ms;
    }
    for (int b = 0; b < TALLY_BUCKETS; b++) {
        char bound[32] = "+Inf";
        if (b < TALLY_BUCKETS - 1)
            snprintf(bound, sizeof bound, "%g", (double)tally_bounds(measure)[b] / (double)units);
        total += (uint64_t)buckets[b];
        text = talloc_strdup_append_buffer(metrics_bucket_text(text, name, labels, bound, total), "\n");
    }
    int digits = units == 1000 ? 3 : 6;
    return talloc_asprintf_append_buffer(text,
                                         "%s_sum{%s} %" PRId64 ".%0*" PRId64 "\n%s_count{%s} %" PRIu64 "\n",
                                         name, labels, sum / units, digits, sum % units, name, labels, total);
}

/* All histograms of a measure. Kinds and outcomes that were never counted have none, except the kinds of
 * runs. */
static char *add_times(char *text, const struct counts *c, enum tally_measure measure, const char *name,
                       label_text *label)
{
    enum { KINDS = 16, REASONS = 3 };
    bool is_run = measure == MEASURE_QUEUED || measure == MEASURE_RUNNING;
    bool seen[KINDS][REASONS] = {{false}};
    for (int kind = KIND_WORKFLOW; is_run && kind <= KIND_SKILL; kind++)
        seen[kind][0] = true;
    for (size_t i = 0; i < c->n; i++) {
        const struct store_run_count *row = &c->list[i];
        if (row->measure == (int)measure && row->kind >= 0 && row->kind < KINDS && row->reason >= 0 &&
            row->reason < REASONS)
            seen[row->kind][row->reason] = true;
    }
    text = talloc_asprintf_append_buffer(text, "# TYPE %s histogram\n", name);
    for (int kind = 0; kind < KINDS; kind++) {
        for (int reason = 0; reason < REASONS; reason++) {
            const char *labels = seen[kind][reason] ? label(text, kind, reason) : NULL;
            if (labels)
                text = add_histogram(text, c, measure, kind, reason, name, labels);
        }
    }
    return text;
}

static char *add_ends(char *text, const struct counts *c)
{
    text = talloc_strdup_append_buffer(text, "# TYPE millrace_runs_ended_total counter\n");
    for (size_t i = 0; i < c->n; i++) {
        const struct store_run_count *row = &c->list[i];
        const char *reason = reason_name((enum failure_reason)row->reason);
        const char *kind = kind_label(NULL, row->kind, 0);
        if (row->measure == MEASURE_ENDS && kind)
            text = talloc_asprintf_append_buffer(
                text, "millrace_runs_ended_total{%s,state=\"%s\",reason=\"%s\"} %" PRId64 "\n", kind,
                state_name((enum run_state)row->place), reason ? reason : "", row->n);
    }
    return text;
}

/* What was written to the ledger, by kind: every kind, so that a rate has a first value. */
static char *add_money(char *text, const struct counts *c)
{
    int64_t n[LEDGER_KINDS_END] = {0}, amount[LEDGER_KINDS_END] = {0};
    for (size_t i = 0; i < c->n; i++) {
        const struct store_run_count *row = &c->list[i];
        if (row->measure != MEASURE_MONEY || row->kind < LEDGER_GRANT || row->kind >= LEDGER_KINDS_END)
            continue;
        n[row->kind] += row->n;
        amount[row->kind] += row->sum_ms;
    }
    text = talloc_strdup_append_buffer(text, "# TYPE millrace_ledger_microcredits_total counter\n");
    for (int kind = LEDGER_GRANT; kind < LEDGER_KINDS_END; kind++)
        text = talloc_asprintf_append_buffer(text,
                                             "millrace_ledger_microcredits_total{kind=\"%s\"} %" PRId64 "\n",
                                             ledger_kind_name((enum ledger_kind)kind), amount[kind]);
    text = talloc_strdup_append_buffer(text, "# TYPE millrace_ledger_rows_total counter\n");
    for (int kind = LEDGER_GRANT; kind < LEDGER_KINDS_END; kind++)
        text = talloc_asprintf_append_buffer(text, "millrace_ledger_rows_total{kind=\"%s\"} %" PRId64 "\n",
                                             ledger_kind_name((enum ledger_kind)kind), n[kind]);
    return text;
}

/* The destinations of the usage push. */
static char *add_pushes(char *text, struct request *r)
{
    struct push *list;
    size_t n;
    if (push_list(r->app->db, r, &list, &n) != OK || n == 0)
        return text;
    static const struct {
        const char *name, *type;
    } names[] = {{"lag_rows", "gauge"},       {"lag_seconds", "gauge"}, {"failures", "gauge"},
                 {"set_aside_rows", "gauge"}, {"paused", "gauge"},      {"rows_total", "counter"}};
    enum { NAMES = sizeof names / sizeof *names };
    for (int m = 0; m < NAMES; m++) {
        text =
            talloc_asprintf_append_buffer(text, "# TYPE millrace_push_%s %s\n", names[m].name, names[m].type);
        for (size_t i = 0; i < n; i++) {
            const int64_t values[NAMES] = {list[i].lag_rows,   list[i].lag_ms / 1000, list[i].failures,
                                           list[i].aside_rows, list[i].paused,        list[i].sent_rows};
            text = talloc_asprintf_append_buffer(text, "millrace_push_%s{destination=\"%s\"} %" PRId64 "\n",
                                                 names[m].name, list[i].name, values[m]);
        }
    }
    return text;
}

static char *add_counts(char *text, struct request *r)
{
    static const struct {
        enum tally_measure measure;
        const char *name;
        label_text *label;
    } histograms[] = {{MEASURE_QUEUED, "millrace_run_queued_seconds", kind_label},
                      {MEASURE_RUNNING, "millrace_run_seconds", kind_label},
                      {MEASURE_STEP, "millrace_step_seconds", step_label},
                      {MEASURE_WEBHOOK, "millrace_webhook_try_seconds", webhook_label},
                      {MEASURE_COMMIT, "millrace_commit_seconds", program_label}};
    struct store_run_count *list;
    size_t n;
    if (store_metrics_counts(r->app->db, r, &list, &n) != OK)
        return text;
    const struct counts c = {list, n};
    text = add_pushes(add_money(add_ends(text, &c), &c), r);
    for (size_t h = 0; h < sizeof histograms / sizeof *histograms; h++)
        text = add_times(text, &c, histograms[h].measure, histograms[h].name, histograms[h].label);
    return text;
}

/* --- the installation at present --- */

/* The workspaces with the most queued and running runs. Their number is limited, and so is that of the
 * series. */
static char *add_workspaces(char *text, const struct load_numbers *load)
{
    text = talloc_strdup_append_buffer(text, "# TYPE millrace_workspace_runs gauge\n");
    for (size_t i = 0; i < load->workspaces_n; i++)
        text = talloc_asprintf_append_buffer(
            text,
            "millrace_workspace_runs{workspace=\"%s\",state=\"queued\"} %" PRId64
            "\nmillrace_workspace_runs{workspace=\"%s\",state=\"running\"} %" PRId64 "\n",
            load->workspaces[i].id, load->workspaces[i].queued, load->workspaces[i].id,
            load->workspaces[i].running);
    return text;
}

static char *add_server(char *text, struct request *r, const struct store_metrics *m,
                        const struct store_load *load)
{
    const struct config *c = r->app->config;
    struct store_server s;
    if (store_metrics_server(r->app->db, &s) != OK)
        return text;
    int64_t ahead_ms = clock_wall_ms() - s.now_ms;
    text = talloc_asprintf_append_buffer(text,
                                         "# TYPE millrace_clock_ahead_seconds gauge\n"
                                         "millrace_clock_ahead_seconds %.3f\n"
                                         "# TYPE millrace_database_lock_waits gauge\n"
                                         "millrace_database_lock_waits %" PRId64 "\n",
                                         (double)ahead_ms / 1000, s.lock_waits);
    const struct pool_use pools[] = {
        {"executor_slots", m->executors * c->executor.max_active, load->running - load->parked},
        {"executor_http", m->http_max, m->http_in_flight},
        {"database_connections", s.connections_max, s.connections}};
    text = talloc_asprintf_append_buffer(text,
                                         "# TYPE millrace_http_waiting gauge\nmillrace_http_waiting %" PRId64
                                         "\n"
                                         "# TYPE millrace_commands gauge\nmillrace_commands %" PRId64 "\n",
                                         m->http_waiting, m->commands);
    text = add_gauges(text, "millrace_pool_size", pools, 3, true);
    return add_gauges(text, "millrace_pool_in_use", pools, 3, false);
}

char *metrics_add_installation(char *text, struct request *r, const struct store_metrics *m,
                               const struct load_numbers *load)
{
    text = add_server(add_counts(text, r), r, m, &load->load);
    return r->app->config->api.metrics_workspaces > 0 ? add_workspaces(text, load) : text;
}
