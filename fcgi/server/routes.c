#include "fcgi/server/routes.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/scopes.h"
#include "deed/deed.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/http/app.h"
#include "fcgi/http/auth.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "fcgi/http/request_body.h"
#include "fcgi/http/slow.h"
#include "run/signal.h"
#include "run/signal_ticket.h"
#include "json/json.h"

#define LIST_QUERY                                                                                           \
    "limit after pageNumber pageSize responderIds* responderIds[]* workflow_id status state tag parentId "   \
    "created_after created_before batch_id error error_hash"
/* Either scope; the handler checks the one that the execution's kind requires. */
#define EXECUTE (SCOPE_WORKFLOWS_EXECUTE | SCOPE_SKILLS_EXECUTE)

/* Octets of the body that holds a token. */
enum { SESSION_BODY_MAX = 4096 };

/* clang-format off */
static const struct route table[] = {
    {"GET", "/workflows", "limit after", SCOPE_WORKFLOWS_READ, ROUTE_READS, 0, h_workflow_list},
    {"POST", "/workflows", "", SCOPE_WORKFLOWS_WRITE, 0, JSON_BODY_MAX, h_workflow_create},
    {"GET", "/workflows/{id}", "", SCOPE_WORKFLOWS_READ, 0, 0, h_workflow_get},
    {"PUT", "/workflows/{id}", "", SCOPE_WORKFLOWS_WRITE, 0, JSON_BODY_MAX, h_workflow_put},
    {"DELETE", "/workflows/{id}", "", SCOPE_WORKFLOWS_WRITE, 0, 0, h_workflow_delete},
    {"POST", "/workflows/{id}/run-async", "", SCOPE_WORKFLOWS_EXECUTE, 0, JSON_BODY_MAX, h_workflow_run},
    {"POST", "/workflows/{id}/estimate", "", SCOPE_WORKFLOWS_EXECUTE, 0, JSON_BODY_MAX, h_workflow_estimate},
    {"POST", "/workflows/{id}/run-batch", "", SCOPE_WORKFLOWS_EXECUTE, 0, JSON_BATCH_MAX, h_workflow_run_batch},
    {"GET", "/batches/{id}", "", SCOPE_EXECUTIONS_READ, 0, 0, h_batch_get},
    {"GET", "/executions", LIST_QUERY, SCOPE_EXECUTIONS_READ, ROUTE_READS, 0, h_execution_list},
    {"GET", "/executions/errors", "limit", SCOPE_EXECUTIONS_READ, ROUTE_READS, 0, h_execution_errors},
    {"POST", "/executions/bulk", "", EXECUTE | SCOPE_EXECUTIONS_PURGE, 0, JSON_BODY_MAX, h_bulk_create},
    {"GET", "/bulk-jobs", "limit after", SCOPE_EXECUTIONS_READ, ROUTE_READS, 0, h_bulk_list},
    {"GET", "/bulk-jobs/{id}", "", SCOPE_EXECUTIONS_READ, ROUTE_READS, 0, h_bulk_get},
    {"GET", "/bulk-jobs/{id}/items", "limit after outcome", SCOPE_EXECUTIONS_READ, ROUTE_READS, 0, h_bulk_items},
    {"POST", "/bulk-jobs/{id}/cancel", "", EXECUTE | SCOPE_EXECUTIONS_PURGE, 0, JSON_BODY_MAX, h_bulk_cancel},
    {"POST", "/bulk-jobs/{id}/resume", "", EXECUTE | SCOPE_EXECUTIONS_PURGE, 0, JSON_BODY_MAX, h_bulk_resume},
    {"GET", "/executions/{id}/events", "last_event_id ticket", SCOPE_EXECUTIONS_READ, ROUTE_TICKET, 0, h_execution_events},
    {"GET", "/events", "last_event_id responder* summary tag type*", SCOPE_EXECUTIONS_READ, 0, 0, h_feed},
    {"POST", "/executions/{id}/events/ticket", "", SCOPE_EXECUTIONS_READ, 0, 0, h_execution_ticket},
    {"GET", "/spaces/{space}/skills/executions/{id}/events", "last_event_id ticket", SCOPE_EXECUTIONS_READ, ROUTE_TICKET, 0, h_execution_events},
    {"POST", "/spaces/{space}/skills/executions/{id}/events/ticket", "", SCOPE_EXECUTIONS_READ, 0, 0, h_execution_ticket},
    {"GET", "/internal/waited", "execution workspace seconds form steps streams", EXECUTE | SCOPE_EXECUTIONS_READ, ROUTE_BARE | ROUTE_RESUMED, 0, h_wait_resume},
    {"GET", "/executions/nestings", "executionId chatMessageId", SCOPE_EXECUTIONS_READ, ROUTE_READS, 0, h_execution_nestings},
    {"GET", "/executions/{id}", "include_step_results wait", SCOPE_EXECUTIONS_READ, 0, 0, h_execution_get},
    {"PATCH", "/executions/{id}", "", EXECUTE, 0, JSON_BODY_MAX, h_execution_move},
    {"DELETE", "/executions/{id}", "", SCOPE_EXECUTIONS_PURGE, 0, 0, h_execution_purge},
    {"POST", "/executions/{id}/stop", "", EXECUTE, 0, JSON_BODY_MAX, h_execution_stop},
    {"POST", "/executions/{id}/retry", "", EXECUTE, 0, JSON_BODY_MAX, h_execution_retry},
    {"POST", "/executions/{id}/signals/{name}", "", EXECUTE, 0, SIGNAL_DATA_MAX, h_signal_send},
    {"POST", "/executions/{id}/signals/{name}/ticket", "", EXECUTE, 0, SIGNAL_TICKET_BODY_MAX, h_signal_ticket},
    {"GET", "/answer/{ticket}", "", 0, ROUTE_BARE | ROUTE_OPEN | ROUTE_ANY_QUERY, 0, h_answer_page},
    {"POST", "/answer/{ticket}", "", 0, ROUTE_BARE | ROUTE_OPEN | ROUTE_ANY_QUERY, SIGNAL_ANSWER_BODY_MAX, h_answer_send},
    {"GET", "/executions/{id}/logs", "offset follow", SCOPE_EXECUTIONS_READ, 0, 0, h_execution_logs},
    {"GET", "/executions/{id}/artifacts/{artifact}", "", SCOPE_EXECUTIONS_READ, 0, 0, h_artifact_get},
    {"GET", "/spaces/{space}/skills", "", SCOPE_SKILLS_READ, 0, 0, h_skill_list},
    {"GET", "/spaces/{space}/skills/{slug}", "", SCOPE_SKILLS_READ, 0, 0, h_skill_get},
    {"POST", "/spaces/{space}/skills/{slug}/estimate", "", SCOPE_SKILLS_EXECUTE, 0, JSON_BODY_MAX, h_skill_estimate},
    {"POST", "/spaces/{space}/skills/{slug}/executions", "", SCOPE_SKILLS_EXECUTE, 0, JSON_BODY_MAX, h_skill_run},
    {"GET", "/spaces/{space}/skills/executions/by-chat-tool-call/{call}", "", SCOPE_EXECUTIONS_READ, 0, 0, h_skill_execution_by_call},
    {"GET", "/spaces/{space}/skills/executions/{id}", "", SCOPE_EXECUTIONS_READ, 0, 0, h_skill_execution_get},
    {"POST", "/spaces/{space}/skills/executions/{id}/cancel", "", SCOPE_SKILLS_EXECUTE, 0, JSON_BODY_MAX, h_skill_execution_cancel},
    {"GET", "/files", "limit after", SCOPE_FILES_READ, ROUTE_READS, 0, h_file_list},
    {"POST", "/files", "", SCOPE_FILES_WRITE, ROUTE_STREAM, 0, h_file_upload},
    {"GET", "/files/{name}", "", SCOPE_FILES_READ, 0, 0, h_file_get},
    {"DELETE", "/files/{name}", "", SCOPE_FILES_WRITE, 0, 0, h_file_delete},
    {"GET", "/schedules", "limit after", SCOPE_SCHEDULES_READ, ROUTE_READS, 0, h_schedule_list},
    {"POST", "/schedules", "", SCOPE_SCHEDULES_WRITE, 0, JSON_BODY_MAX, h_schedule_create},
    {"GET", "/schedules/upcoming", "count cron every_seconds at timezone start_at end_at", SCOPE_SCHEDULES_READ, 0, 0, h_schedule_preview},
    {"GET", "/schedules/{id}", "", SCOPE_SCHEDULES_READ, 0, 0, h_schedule_get},
    {"PATCH", "/schedules/{id}", "", SCOPE_SCHEDULES_WRITE, 0, JSON_BODY_MAX, h_schedule_patch},
    {"DELETE", "/schedules/{id}", "", SCOPE_SCHEDULES_WRITE, 0, 0, h_schedule_delete},
    {"POST", "/schedules/{id}/pause", "", SCOPE_SCHEDULES_WRITE, 0, JSON_BODY_MAX, h_schedule_pause},
    {"POST", "/schedules/{id}/resume", "", SCOPE_SCHEDULES_WRITE, 0, JSON_BODY_MAX, h_schedule_resume},
    {"POST", "/schedules/{id}/trigger", "", SCOPE_SCHEDULES_WRITE, 0, JSON_BODY_MAX, h_schedule_trigger},
    {"POST", "/schedules/{id}/backfill", "", SCOPE_SCHEDULES_WRITE, 0, JSON_BODY_MAX, h_schedule_backfill},
    {"GET", "/schedules/{id}/upcoming", "count after", SCOPE_SCHEDULES_READ, 0, 0, h_schedule_upcoming},
    {"GET", "/schedules/{id}/occurrences", "limit after", SCOPE_SCHEDULES_READ, ROUTE_READS, 0, h_schedule_occurrences},
    {"GET", "/webhooks", "limit after", SCOPE_WEBHOOKS_READ, ROUTE_READS, 0, h_webhook_list},
    {"POST", "/webhooks", "", SCOPE_WEBHOOKS_WRITE, 0, JSON_BODY_MAX, h_webhook_create},
    {"GET", "/webhooks/secret", "", SCOPE_WEBHOOKS_WRITE, 0, 0, h_webhook_secret},
    {"GET", "/webhooks/{id}", "", SCOPE_WEBHOOKS_READ, 0, 0, h_webhook_get},
    {"PATCH", "/webhooks/{id}", "", SCOPE_WEBHOOKS_WRITE, 0, JSON_BODY_MAX, h_webhook_patch},
    {"DELETE", "/webhooks/{id}", "", SCOPE_WEBHOOKS_WRITE, 0, 0, h_webhook_delete},
    {"POST", "/webhooks/{id}/test", "", SCOPE_WEBHOOKS_WRITE, 0, 0, h_webhook_test},
    {"GET", "/webhooks/{id}/deliveries", "limit after", SCOPE_WEBHOOKS_READ, ROUTE_READS, 0, h_webhook_deliveries},
    {"POST", "/webhooks/{id}/redeliver", "", SCOPE_WEBHOOKS_WRITE, 0, JSON_BODY_MAX, h_webhook_redeliver_since},
    {"POST", "/webhooks/{id}/deliveries/{delivery}/redeliver", "", SCOPE_WEBHOOKS_WRITE, 0, 0, h_webhook_redeliver},
    {"GET", "/budgets", "limit after", SCOPE_BUDGETS_READ, ROUTE_READS, 0, h_budget_list},
    {"POST", "/budgets", "", SCOPE_BUDGETS_WRITE, 0, JSON_BODY_MAX, h_budget_create},
    {"GET", "/budgets/{id}", "", SCOPE_BUDGETS_READ, 0, 0, h_budget_get},
    {"PATCH", "/budgets/{id}", "", SCOPE_BUDGETS_WRITE, 0, JSON_BODY_MAX, h_budget_patch},
    {"DELETE", "/budgets/{id}", "", SCOPE_BUDGETS_WRITE, 0, 0, h_budget_delete},
    {"GET", "/prices", "limit after", SCOPE_CREDITS_READ, ROUTE_READS, 0, h_price_list},
    {"GET", "/credits/alerts", "", SCOPE_BUDGETS_READ, 0, 0, h_credit_alerts_get},
    {"PUT", "/credits/alerts", "", SCOPE_BUDGETS_WRITE, 0, JSON_BODY_MAX, h_credit_alerts_put},
    {"GET", "/credits", "", SCOPE_CREDITS_READ, ROUTE_READS, 0, h_credits_get},
    {"GET", "/credits/grants", "status limit after", SCOPE_CREDITS_READ, ROUTE_READS, 0, h_credits_grants},
    {"POST", "/credits/grants", "", SCOPE_CREDITS_WRITE, 0, JSON_BODY_MAX, h_credits_grant},
    {"GET", "/credits/usage", "from to group_by", SCOPE_CREDITS_READ, ROUTE_READS, 0, h_credits_usage},
    {"GET", "/credits/statement", "month", SCOPE_CREDITS_READ, ROUTE_READS, 0, h_credits_statement},
    {"GET", "/credits/ledger", "limit after", SCOPE_CREDITS_READ, ROUTE_READS, 0, h_credits_ledger},
    {"POST", "/session", "", 0, ROUTE_SIGN_IN, SESSION_BODY_MAX, h_session_create},
    {"GET", "/session", "", 0, ROUTE_SESSION, 0, h_session_get},
    {"DELETE", "/session", "", 0, ROUTE_SESSION, 0, h_session_delete},
    {"POST", "/mcp", "", EXECUTE, ROUTE_BARE, JSON_BODY_MAX, h_mcp_post},
    {"GET", "/mcp", "", EXECUTE, ROUTE_BARE, 0, h_mcp_get},
    {"GET", "/internal/called", "execution workspace key after progress rpc token prime seconds streams", EXECUTE, ROUTE_BARE | ROUTE_RESUMED, 0, h_mcp_called},
    {"GET", "/operator/overview", "", SCOPE_OPERATOR_READ, 0, 0, h_operator_overview},
    {"GET", "/operator/executor-log", "level workspace_id execution_id q last_event_id", SCOPE_OPERATOR_READ, 0, 0, h_operator_executor_log},
    {"GET", "/operator/workspaces", "limit after sort q", SCOPE_OPERATOR_READ, 0, 0, h_operator_workspaces},
    {"PATCH", "/operator/workspaces/{id}", "", SCOPE_OPERATOR_WRITE, 0, JSON_BODY_MAX, h_operator_workspace_patch},
    {"GET", "/openapi.json", "", 0, ROUTE_OPEN, 0, h_openapi},
    {"GET", "/healthz", "", 0, ROUTE_BARE | ROUTE_OPEN, 0, h_health_alive},
    {"GET", "/readyz", "", 0, ROUTE_BARE | ROUTE_OPEN, 0, h_health_ready},
    {"GET", "/metrics", "", 0, ROUTE_BARE | ROUTE_OPEN, 0, h_health_metrics},
};
/* clang-format on */
enum { ROUTES = sizeof table / sizeof table[0] };
_Static_assert((int)ROUTES < (int)METRICS_ROUTES, "METRICS_ROUTES is too small for the table of routes");

/* --- finding --- */

/* Moves *p behind the segment if it is this text. A decoded segment may contain a slash, that of a route does
 * not. */
static bool takes_literal(const char **p, const char *text)
{
    for (; **p && **p != '/' && *text == **p; (*p)++)
        text++;
    return *text == '\0' && (**p == '\0' || **p == '/');
}

static bool path_matches(const struct route *route, const struct request *r, const char **values)
{
    if (((route->flags & ROUTE_BARE) != 0) == r->is_api)
        return false;
    const char *p = route->path;
    size_t values_n = 0;
    for (size_t i = 0; i < r->segments_n; i++) {
        if (*p++ != '/')
            return false;
        if (*p == '{') {
            if (!*r->segments[i])
                return false;
            values[values_n++] = r->segments[i];
            p += strcspn(p, "/");
        } else if (!takes_literal(&p, r->segments[i])) {
            return false;
        }
    }
    return *p == '\0';
}

static bool method_matches(const struct route *route, const char *method)
{
    return strcmp(route->method, method) == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

const struct route *route_find(struct request *r)
{
    char *allow = NULL;
    for (int i = 0; i < ROUTES; i++) {
        const char *values[PATH_VALUES_MAX] = {0}; /* a route that matches halfway leaves no values */
        if (!path_matches(&table[i], r, values))
            continue;
        if (method_matches(&table[i], r->method)) {
            memcpy(r->path_values, values, sizeof values);
            return &table[i];
        }
        const char *more = strcmp(table[i].method, "GET") == 0 ? "GET, HEAD" : table[i].method;
        allow = allow ? talloc_asprintf_append_buffer(allow, ", %s", more) : talloc_strdup(r, more);
    }
    if (allow) {
        reply_header(r, "Allow", "%s", allow);
        reply_problem(r, 405, "method_not_allowed", "Method not allowed: %s.", r->method);
    } else {
        reply_problem(r, 404, "not_found",
                      "No operation has this path. GET /api/v1/openapi.json lists all of them.");
    }
    return NULL;
}

/* --- checks before the handler --- */

/* True if a route's `query` contains the name; *repeats_r is set if the parameter may be repeated. */
static bool query_accepts(const char *query, const char *name, bool *repeats_r)
{
    size_t n = strlen(name);
    for (const char *p = query; *p;) {
        size_t word = strcspn(p, " ");
        *repeats_r = word > 0 && p[word - 1] == '*';
        if (word - *repeats_r == n && strncmp(p, name, n) == 0)
            return true;
        p += word + (p[word] == ' ');
    }
    return false;
}

static bool check_query_parameters(struct request *r)
{
    for (size_t i = 0; i < r->query_n && !(r->route->flags & ROUTE_ANY_QUERY); i++) {
        const char *name = r->query[i].name;
        bool repeats;
        if (!query_accepts(r->route->query, name, &repeats)) {
            reply_problem(r, 400, "invalid_request", "Unknown query parameter: %s.", name);
            return false;
        }
        for (size_t k = 0; k < i && !repeats; k++) {
            if (strcmp(r->query[k].name, name) == 0) {
                reply_problem(r, 400, "invalid_request", "The query parameter %s stands twice; send it once.",
                              name);
                return false;
            }
        }
    }
    return true;
}

/* Milliseconds of a time as nginx writes it, such as "1768473000.123". */
static int64_t parse_msec(const char *text)
{
    char *end;
    int64_t ms = strtoll(text, &end, 10) * 1000;
    return *end == '.' ? ms + strtol(end + 1, NULL, 10) : ms;
}

/* The uploads pool has no admission control, because an upload waits as long as the bodies before it take;
 * only the maximum age applies. */
static bool is_admitted(const struct app *app, int64_t waited_ms)
{
    const struct config *c = app->config;
    struct admission_limits limits = {.queue_ms = c->api.queue_ms, .workers = (unsigned)c->api.workers};
    return app->admission ? admission_admits(app->admission, clock_boot_ms(), waited_ms, limits)
                          : waited_ms <= ADMISSION_AGE_MAX_MS;
}

/* Sheds requests that waited too long (503). Never sheds health checks and other open routes, nor requests
 * resumed after a wait (their run was already accepted). */
static bool admit(struct request *r)
{
    const char *msec = request_param(r, "MSEC"); /* when nginx passed the request on */
    int64_t taken_ms = msec ? parse_msec(msec) : 0;
    int64_t waited_ms = clock_wall_ms() - taken_ms;
    if (taken_ms > 0 && waited_ms > 0)
        r->waited_ms = waited_ms;
    if (taken_ms <= 0 || r->route->flags & (ROUTE_OPEN | ROUTE_RESUMED) || is_admitted(r->app, waited_ms))
        return true;
    atomic_fetch_add(&r->app->shared->metrics.refused_late, 1);
    reply_err(r, ERR_UNAVAILABLE);
    return false;
}

/* --- the steps of a request --- */

static bool authorize(struct request *r)
{
    const struct route *route = r->route;
    if (route->flags & (ROUTE_OPEN | ROUTE_SIGN_IN))
        return true;
    if ((route->flags & ROUTE_TICKET) && request_query(r, "ticket"))
        return auth_check_ticket(r) && auth_take_rate(r);
    if (!auth_check(r))
        return false;
    if (id_is_set(&r->access.workspace_id))
        slow_share_note(&r->app->shared->slow, &r->access.workspace_id, clock_boot_ms());
    if (!(route->flags & ROUTE_RESUMED) && !auth_take_rate(r))
        return false;
    return route->flags & ROUTE_SESSION ? auth_require_session(r) : auth_require_scope(r, route->scopes);
}

static bool check_request(struct request *r, struct FCGX_Stream *in)
{
    const struct route *route = r->route;
    if (!admit(r) || !authorize(r))
        return false;
    if (!check_query_parameters(r))
        return false;
    bool has_body = route->body_max > 0 || route->flags & ROUTE_STREAM;
    if (has_body && !request_body_is_plain(r)) {
        reply_header(r, "Accept-Encoding", "identity");
        return false;
    }
    r->in = route->flags & ROUTE_STREAM ? in : NULL;
    return route->body_max == 0 || !in ||
           (request_body_has_turn(r, route->body_max) && request_read_body(r, in, route->body_max));
}

void route_request(struct request *r, struct FCGX_Stream *in)
{
    r->route = route_find(r);
    if (!r->route)
        return;
    deed_end(); /* of the worker's last request */
    if (!check_request(r, in) || !auth_record_operator(r))
        reply_rejected(r);
    else if (r->route->flags & ROUTE_READS)
        slow_read(r, r->route->handler);
    else
        r->route->handler(r);
}

/* --- names --- */

const char *const *route_names(unsigned *n_r)
{
    static const char *names[ROUTES + 1];
    static char texts[ROUTES][96];
    for (int i = 0; i < ROUTES && !names[ROUTES]; i++) {
        char *end = stpncpy(texts[i], table[i].method, 8);
        *end++ = ' ';
        stpncpy(end, table[i].path, sizeof texts[i] - 10);
        names[i] = texts[i];
    }
    names[ROUTES] = "none";
    *n_r = ROUTES + 1;
    return names;
}

bool route_starts_run(const struct request *r)
{
    return r->route && (r->route->handler == h_workflow_run || r->route->handler == h_skill_run);
}

unsigned route_index(const struct request *r)
{
    return r->route ? (unsigned)(r->route - table) : ROUTES;
}
