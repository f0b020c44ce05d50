/* GET /operator/overview, GET and PATCH /operator/workspaces, GET /operator/executor-log: what operators see
 * of the installation. */
#include <sodium.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/scopes.h"
#include "fcgi/forms/form.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/handlers/load.h"
#include "fcgi/http/app.h"
#include "fcgi/http/auth.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "fcgi/http/request_body.h"
#include "redis/log_stream.h"
#include "run/run_counts.h"
#include "store/metrics.h"
#include "store/workspace.h"
#include "store/workspace_load.h"
#include "json/json_write.h"

enum { LIMIT_MAX = 200, LIMIT_DEFAULT = 50, TEXT_MAX = 200, LIMITS_MAX = 1000000000, LOG_STREAMS_MAX = 20 };

/* --- readings that operators share --- */

/* Replies with the answer that another request has read, and sets *status_r. False: the caller reads it. */
static bool reply_shared(struct request *r, const struct shared_answer *a, int64_t key, int *status_r)
{
    size_t size;
    const char *body = shared_answer_get(a, r, key, clock_boot_ms(), &size);
    if (body)
        *status_r = reply_json(r, 200, body, size);
    return body != NULL;
}

static int reply_and_share(struct request *r, struct shared_answer *a, int64_t key, int64_t began_ms,
                           struct json_write *w)
{
    size_t size;
    const char *body = json_write_result(w, &size);
    shared_answer_put(a, key, began_ms, clock_boot_ms(), body, size);
    return reply_json(r, 200, body, size);
}

/* --- workspaces --- */

static void write_optional(struct json_write *w, const char *name, int64_t value)
{
    json_write_key(w, name);
    if (value < 0)
        json_write_null(w);
    else
        json_write_number(w, value);
}

static void write_seconds(struct json_write *w, const char *name, int64_t ms)
{
    char text[32];
    json_write_key(w, name);
    if (ms < 0) {
        json_write_null(w);
        return;
    }
    int n = snprintf(text, sizeof text, "%lld.%03lld", (long long)(ms / 1000), (long long)(ms % 1000));
    json_write_raw(w, text, (size_t)n);
}

static void write_workspace(struct json_write *w, const struct workspace_load *l)
{
    json_write_open(w, '{');
    json_write_id(w, "id", &l->id);
    json_write_text(w, "name", l->name);
    json_write_time(w, "created_at", l->created_ms, true);
    json_write_credits(w, "balance", l->balance);
    json_write_int(w, "queued", l->queued);
    json_write_int(w, "running", l->running);
    json_write_int(w, "waiting", l->waiting);
    write_seconds(w, "oldest_queued_seconds", l->oldest_queued_ms);
    json_write_int(w, "accepted_per_minute", l->accepted);
    json_write_int(w, "ended_per_minute", l->ended);
    json_write_int(w, "failed_per_minute", l->failed);
    json_write_key(w, "limits");
    json_write_open(w, '{');
    write_optional(w, "rate_limit_per_minute", l->rate_limit_per_minute);
    write_optional(w, "max_concurrent", l->max_concurrent);
    json_write_close(w, '}');
    json_write_close(w, '}');
}

static bool read_query(struct request *r, struct workspace_load_query *q)
{
    const char *sort = request_query(r, "sort");
    int64_t limit;
    *q = (struct workspace_load_query){.text = request_query(r, "q"),
                                       .by_load = sort && strcmp(sort, "load") == 0};
    if (!request_query_int(r, "limit", 1, LIMIT_MAX, LIMIT_DEFAULT, &limit) ||
        !request_query_cursor(r, "after", "a workspace", &q->after))
        return false;
    q->limit = (size_t)limit;
    if (sort && !q->by_load && strcmp(sort, "id") != 0)
        return form_reject_value(r, "sort", "id or load");
    if (q->text && (!*q->text || strlen(q->text) > TEXT_MAX))
        return form_reject_value(r, "q", "a string of 1 to 200 octets");
    if (q->by_load && (q->text || id_is_set(&q->after)))
        return request_reject(r, 400, "invalid_request", "sort=load stands without q and after.");
    return true;
}

int h_operator_workspaces(struct request *r)
{
    struct workspace_load_query q;
    struct shared_answer *shared = &r->app->shared->workspaces_by_load;
    struct workspace_load *list;
    int64_t began_ms = clock_boot_ms();
    size_t n, limit;
    int status;
    if (!read_query(r, &q))
        return reply_rejected(r);
    limit = q.limit;
    if (q.by_load && reply_shared(r, shared, (int64_t)limit, &status))
        return status;
    q.limit += !q.by_load; /* one more shows whether there is another page */
    enum err e = workspace_load_list(r->app->db, r, &q, &list, &n);
    if (e != OK)
        return reply_err(r, e);
    bool has_more = n > limit;
    struct json_write *w = json_write_new(r);
    json_write_open(w, '{');
    json_write_key(w, "workspaces");
    json_write_open(w, '[');
    for (size_t i = 0; i < n && i < limit; i++)
        write_workspace(w, &list[i]);
    json_write_close(w, ']');
    json_write_text(w, "next", has_more ? list[limit - 1].id.text : NULL);
    json_write_close(w, '}');
    return q.by_load ? reply_and_share(r, shared, (int64_t)limit, began_ms, w) : reply_written(r, 200, w);
}

/* A limit of the body: absent, null (none) or a number of 1 and more. */
static bool read_limit(struct request *r, json_object *body, const char *name, struct workspace_limit *l)
{
    json_object *value;
    l->is_given = json_object_object_get_ex(body, name, &value);
    l->is_set = value != NULL;
    if (!l->is_given || !value)
        return true;
    l->value = json_object_get_int64(value);
    return (json_object_is_type(value, json_type_int) && l->value >= 1 && l->value <= LIMITS_MAX) ||
           form_reject_value(r, name, "null or a whole number from 1 to 1000000000");
}

int h_operator_workspace_patch(struct request *r)
{
    id workspace;
    json_object *body;
    struct workspace_limits limits = {0};
    struct workspace_load load;
    if (!request_path_id(r, 0, &workspace) || !request_json(r, &body) ||
        (body && !form_members_are_known(r, body, "rate_limit_per_minute max_concurrent")))
        return reply_rejected(r);
    if (!body || json_object_object_length(body) == 0)
        return reply_problem(r, 400, "invalid_request", "The body names no limit.");
    if (!read_limit(r, body, "rate_limit_per_minute", &limits.rate_limit_per_minute) ||
        !read_limit(r, body, "max_concurrent", &limits.max_concurrent))
        return reply_rejected(r);
    enum err e = workspace_set_limits(r->app->db, &workspace, &limits);
    shared_answer_drop(&r->app->shared->workspaces_by_load, clock_boot_ms());
    if (e == OK)
        e = workspace_load_get(r->app->db, r, &workspace, &load);
    if (e != OK)
        return reply_err(r, e);
    struct json_write *w = json_write_new(r);
    write_workspace(w, &load);
    return reply_written(r, 200, w);
}

/* --- the overview --- */

static void write_queue(struct json_write *w, const struct store_metrics *m, const struct store_load *l)
{
    json_write_key(w, "queue");
    json_write_open(w, '{');
    json_write_int(w, "queued", l->queued);
    write_seconds(w, "oldest_queued_seconds", m->oldest_queued_ms);
    json_write_int(w, "running", l->running);
    json_write_int(w, "parked", l->parked);
    json_write_int(w, "delayed", l->delayed);
    json_write_int(w, "signal_waits", l->signal_waits);
    write_seconds(w, "wake_lag_seconds", m->wake_lag_ms);
    json_write_int(w, "schedules_due", m->schedules_due);
    write_seconds(w, "schedule_lag_seconds", m->schedule_lag_ms);
    json_write_int(w, "webhooks_pending", m->webhook_pending);
    write_seconds(w, "webhook_lag_seconds", m->webhook_lag_ms);
    json_write_close(w, '}');
}

/* Runs accepted within the last minute, by their present state: what is fast is seen here, although it is
 * never found running. */
static void write_last_minute(struct json_write *w, const struct store_metrics *m)
{
    int64_t accepted = 0;
    json_write_key(w, "last_minute");
    json_write_open(w, '{');
    for (int s = STATE_QUEUED; s <= STATE_STOPPED; s++) {
        json_write_int(w, state_name((enum run_state)s), m->recent[s]);
        accepted += m->recent[s];
    }
    json_write_int(w, "accepted", accepted);
    json_write_int(w, "lost_attempts", m->lost_count);
    json_write_close(w, '}');
}

/* Since the installation: two readings give a rate. */
static enum err write_ended(struct request *r, struct json_write *w)
{
    struct store_run_count *list;
    int64_t ended[STATE_STOPPED + 1] = {0};
    size_t n;
    enum err e = store_metrics_counts(r->app->db, r, &list, &n);
    for (size_t i = 0; e == OK && i < n; i++) {
        if (list[i].measure == MEASURE_ENDS && list[i].place >= 0 && list[i].place <= STATE_STOPPED)
            ended[list[i].place] += list[i].n;
    }
    json_write_key(w, "ended_total");
    json_write_open(w, '{');
    for (int s = STATE_SUCCEEDED; s <= STATE_STOPPED; s++)
        json_write_int(w, state_name((enum run_state)s), ended[s]);
    json_write_close(w, '}');
    return e;
}

static enum err write_executors(struct request *r, struct json_write *w)
{
    struct db_rows *rows;
    enum err e = db_run(r->app->db, r, SQL_EXECUTOR_OVERVIEW, NULL, 0, &rows);
    json_write_key(w, "executors");
    json_write_open(w, '[');
    for (size_t i = 0; e == OK && i < rows->count; i++) {
        json_write_open(w, '{');
        json_write_int(w, "id", db_int(rows, i, EXECUTOR_OVERVIEW_ID));
        json_write_text(w, "host", db_str(rows, i, EXECUTOR_OVERVIEW_HOST));
        json_write_int(w, "pid", db_int(rows, i, EXECUTOR_OVERVIEW_PID));
        json_write_flag(w, "alive", db_int(rows, i, EXECUTOR_OVERVIEW_IS_ALIVE) != 0);
        json_write_int(w, "runs", db_int(rows, i, EXECUTOR_OVERVIEW_RUNS));
        json_write_time(w, "started_at", db_int(rows, i, EXECUTOR_OVERVIEW_STARTED_MS), true);
        json_write_time(w, "beat_at", db_int(rows, i, EXECUTOR_OVERVIEW_BEAT_MS), true);
        write_seconds(w, "lease_seconds", db_int(rows, i, EXECUTOR_OVERVIEW_LEASE_MS));
        json_write_close(w, '}');
    }
    json_write_close(w, ']');
    return e;
}

static int64_t count_status(const struct metrics *m, int status)
{
    uint64_t n = 0;
    for (int route = 0; route < METRICS_ROUTES; route++)
        n += atomic_load_explicit(&m->requests[route][status], memory_order_relaxed);
    return (int64_t)n;
}

/* Of the host that answers, since its API was started. */
static void write_host(struct request *r, struct json_write *w)
{
    static const int refusals[] = {401, 402, 403, 429, 503};
    const struct fcgi_shared *shared = r->app->shared;
    int busy = 0;
    for (int i = 0; i < WORKER_SLOTS; i++)
        busy += atomic_load(&shared->current[i].set);
    json_write_key(w, "host");
    json_write_open(w, '{');
    json_write_int(w, "workers", atomic_load(&shared->metrics.workers));
    json_write_int(w, "requests_in_progress", busy);
    json_write_key(w, "refusals");
    json_write_open(w, '{');
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        json_write_int(w, talloc_asprintf(r, "%d", refusals[i]), count_status(&shared->metrics, refusals[i]));
    json_write_int(w, "late", (int64_t)atomic_load(&shared->metrics.refused_late));
    json_write_int(w, "unknown_keys", (int64_t)atomic_load(&shared->metrics.refused_unknown));
    json_write_int(w, "cross_site", (int64_t)atomic_load(&shared->metrics.refused_cross_site));
    json_write_close(w, '}');
    json_write_close(w, '}');
}

int h_operator_overview(struct request *r)
{
    struct store_metrics m;
    struct load_numbers load;
    int64_t age_ms, began_ms = clock_boot_ms();
    struct json_write *w = json_write_new(r);
    int status;
    if (reply_shared(r, &r->app->shared->overview, 0, &status))
        return status;
    enum err e = store_metrics_read(r->app->db, &m);
    if (e == OK)
        e = load_read(r, &load, &age_ms);
    if (e != OK)
        return reply_err(r, e);
    json_write_open(w, '{');
    json_write_time(w, "at", clock_wall_ms(), true);
    write_last_minute(w, &m);
    write_queue(w, &m, &load.load);
    e = write_ended(r, w);
    if (e == OK)
        e = write_executors(r, w);
    write_host(r, w);
    json_write_close(w, '}');
    return e == OK ? reply_and_share(r, &r->app->shared->overview, 0, began_ms, w) : reply_err(r, e);
}

/* --- the executors' log --- */

/* The position after which the stream continues, or a word for the event daemon: "new" (the newest lines, if
 * there is no filter), "all" (what is kept). NULL: the request is rejected. */
static const char *read_log_position(struct request *r, bool is_filtered)
{
    struct log_position position;
    const char *text = request_param(r, "HTTP_LAST_EVENT_ID");
    if (!text || !*text)
        text = request_query(r, "last_event_id");
    if (!text || !*text)
        return is_filtered ? "all" : "new";
    if (log_position_parse(text, strlen(text), &position))
        return text;
    request_reject(r, 400, "invalid_request", "Last-Event-ID must be the id of an event of this stream.");
    return NULL;
}

static bool read_log_id(struct request *r, const char *name, id *id_r)
{
    const char *text = request_query(r, name);
    return !text || id_parse(text, strlen(text), id_r) || form_reject_value(r, name, "a UUID");
}

static bool read_log_level(struct request *r, int *level_r)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    const char *text = request_query(r, "level");
    *level_r = LOG_LEVEL_DEBUG;
    if (!text)
        return true;
    for (int i = LOG_LEVEL_DEBUG; i <= LOG_LEVEL_ERROR; i++) {
        if (strcmp(text, names[i]) == 0) {
            *level_r = i;
            return true;
        }
    }
    return form_reject_value(r, "level", "debug, info, warn or error");
}

/* GET /operator/executor-log. The lines name executions, so a role needs executions:read as well. */
int h_operator_executor_log(struct request *r)
{
    id workspace = {0}, execution = {0};
    int level;
    const char *q = request_query(r, "q");
    size_t size = q ? strlen(q) : 0;
    if (!(r->access.scopes & SCOPE_EXECUTIONS_READ))
        return reply_problem(r, 403, "insufficient_scope", "The role lacks the scope executions:read.");
    if (!read_log_level(r, &level) || !read_log_id(r, "workspace_id", &workspace) ||
        !read_log_id(r, "execution_id", &execution))
        return reply_rejected(r);
    if (q && (size == 0 || size > TEXT_MAX)) {
        form_reject_value(r, "q", "a string of 1 to 200 octets");
        return reply_rejected(r);
    }
    const char *position =
        read_log_position(r, q || level > LOG_LEVEL_INFO || id_is_set(&workspace) || id_is_set(&execution));
    if (!position)
        return reply_rejected(r);
    if (strcmp(r->method, "HEAD") == 0)
        return reply_bytes(r, 200, "text/event-stream; charset=utf-8", "", 0);
    char *hex = talloc_size(r, 2 * size + 1);
    sodium_bin2hex(hex, 2 * size + 1, (const unsigned char *)(q ? q : ""), size);
    return reply_internal(r,
                          "/internal/stream/executor-log?workspace=%s&key=%s&after=%s&level=%d&of=%s&run=%s&"
                          "text=%s&gzip=%d&streams=%d",
                          r->access.operator_id.text, auth_credential(r)->text, position, level,
                          workspace.text, execution.text, hex, request_accepts_gzip(r), LOG_STREAMS_MAX);
}
