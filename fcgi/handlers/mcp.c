/* POST and GET /mcp: the Model Context Protocol (Streamable HTTP). A worker serves a message within
 * milliseconds; the event daemon holds the stream of a call (docs/agents.md). No session is stored:
 * Mcp-Session-Id only tells apart the requests of clients that use the same key and the same ids.
 *
 * GET /internal/called: a call whose stream the event daemon could not open, passed back by nginx. */
#include <string.h>
#include <talloc.h>

#include "base/field.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/handlers/mcp_revision.h"
#include "fcgi/handlers/mcp_tools.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "mcp/tool_name.h"
#include "store/event.h"
#include "store/execution.h"

/* True if the client accepts event streams, or does not say what it accepts. */
static bool accepts_stream(struct request *r)
{
    const char *accept = request_list(r, "HTTP_ACCEPT");
    return !accept || field_match_media(r, accept, "text", "event-stream").weight > 0;
}

/* A session of the console (a cookie) serves the API's own paths only. False: the reply is set. */
static bool require_key(struct request *r)
{
    if (r->access.by_header)
        return true;
    reply_header(r, "WWW-Authenticate", "Bearer");
    reply_problem(r, 401, "unauthenticated", "An API key is required: Authorization: Bearer KEY.");
    return false;
}

/* Reads Mcp-Session-Id. False: it is no id that this server gives out, and the reply is set; a client that
 * gets 404 begins a new session. */
static bool read_session(struct request *r, const struct rpc *rpc, id *session_r)
{
    const char *text = request_param(r, "HTTP_MCP_SESSION_ID");
    *session_r = (id){{0}};
    if (!text || id_parse(text, strlen(text), session_r))
        return true;
    rpc_reply_error(r, 404, rpc, MCP_INVALID_REQUEST, "The session is not known.");
    return false;
}

/* --- methods --- */

/* What both eras tell of the server. */
static void write_server(struct json_write *w)
{
    json_write_json(w, "capabilities", "{\"tools\":{}}");
    json_write_text(
        w, "instructions",
        "Each tool starts a run, which costs the price in its description. If a result has the status "
        "running, call " MCP_GET_EXECUTION " with its execution_id later.");
}

static int mcp_initialize(struct request *r, const struct rpc *rpc)
{
    const char *asked = json_get_text(rpc->params, "protocolVersion");
    if (!asked)
        return rpc_reply_error(r, 200, rpc, MCP_INVALID_PARAMS, "protocolVersion must be a string.");
    struct json_write *w = mcp_result_open(r, rpc->id);
    json_write_text(w, "protocolVersion", mcp_initialize_version(asked));
    json_write_key(w, "serverInfo");
    mcp_write_server_info(w);
    write_server(w);
    reply_header(r, "Mcp-Session-Id", "%s", id_new().text);
    return rpc_reply_result(r, w);
}

/* In place of `initialize` for clients without sessions. */
static int mcp_discover(struct request *r, const struct rpc *rpc)
{
    struct json_write *w = mcp_result_open(r, rpc->id);
    json_write_key(w, "supportedVersions");
    mcp_write_versions(w);
    write_server(w);
    mcp_write_uncached(w);
    mcp_write_complete(w);
    return rpc_reply_result(r, w);
}

static int mcp_ping(struct request *r, const struct rpc *rpc)
{
    return rpc_reply_result(r, mcp_result_open(r, rpc->id));
}

static int serve_notification(struct request *r, const struct rpc *rpc, const id *session)
{
    if (strcmp(rpc->method, "notifications/cancelled") == 0)
        return mcp_cancelled(r, rpc, session);
    return reply_empty(r, 202);
}

static void count_request(const struct request *r, const char *method)
{
    enum mcp_count count = strcmp(method, "initialize") == 0   ? MCP_COUNT_INITIALIZE
                           : strcmp(method, "ping") == 0       ? MCP_COUNT_PING
                           : strcmp(method, "tools/list") == 0 ? MCP_COUNT_LIST
                           : strcmp(method, "tools/call") == 0 ? MCP_COUNT_CALL
                                                               : MCP_COUNT_OTHER;
    if (r->app->shared)
        atomic_fetch_add_explicit(&r->app->shared->metrics.mcp[count], 1, memory_order_relaxed);
}

static int serve_request(struct request *r, const struct rpc *rpc, const id *session)
{
    count_request(r, rpc->method);
    if (strcmp(rpc->method, "initialize") == 0)
        return mcp_initialize(r, rpc);
    if (strcmp(rpc->method, "ping") == 0)
        return mcp_ping(r, rpc);
    if (strcmp(rpc->method, "tools/list") == 0)
        return mcp_tools_list(r, rpc);
    if (strcmp(rpc->method, "tools/call") == 0)
        return mcp_tools_call(r, rpc, session);
    return rpc_reply_error(r, 200, rpc, MCP_METHOD_NOT_FOUND, "Unknown method: %s.", rpc->method);
}

/* A message of a client that opens no session: each request stands for itself. */
static int serve_stateless(struct request *r, const struct rpc *rpc)
{
    static const id no_session;
    if (!rpc->id)
        return reply_empty(r, 202);
    count_request(r, rpc->method);
    if (strcmp(rpc->method, "server/discover") == 0)
        return mcp_discover(r, rpc);
    if (strcmp(rpc->method, "tools/list") == 0)
        return mcp_tools_list(r, rpc);
    if (strcmp(rpc->method, "tools/call") == 0)
        return mcp_tools_call(r, rpc, &no_session);
    return rpc_reply_error(r, 404, rpc, MCP_METHOD_NOT_FOUND, "Unknown method: %s.", rpc->method);
}

int h_mcp_post(struct request *r)
{
    struct rpc rpc;
    id session;
    if (!require_key(r) || !rpc_read(r, &rpc))
        return reply_rejected(r);
    enum mcp_era era = mcp_read_era(r, &rpc);
    if (era == MCP_ERA_REJECTED)
        return reply_rejected(r);
    if (!accepts_stream(r))
        return rpc_reply_error(r, 406, &rpc, MCP_INVALID_REQUEST,
                               "Accept must list application/json and text/event-stream.");
    if (era == MCP_ERA_STATELESS)
        return serve_stateless(r, &rpc);
    if (!read_session(r, &rpc, &session))
        return reply_rejected(r);
    return rpc.id ? serve_request(r, &rpc, &session) : serve_notification(r, &rpc, &session);
}

/* --- resuming --- */

/* The server sends nothing but what belongs to a call: there is no stream without one. */
static int reply_no_stream(struct request *r)
{
    reply_header(r, "Allow", "POST");
    return reply_problem(
        r, 405, "method_not_allowed",
        "GET /mcp continues the stream of a tool call, whose last event Last-Event-ID names.");
}

int h_mcp_get(struct request *r)
{
    struct mcp_call call;
    struct run_progress run;
    const char *last = request_param(r, "HTTP_LAST_EVENT_ID");
    if (!require_key(r))
        return reply_rejected(r);
    if (!last || !*last || strcmp(r->method, "GET") != 0 || mcp_header_is_stateless(r))
        return reply_no_stream(r);
    if (!mcp_event_id_parse(r, last, &call))
        return reply_problem(r, 400, "invalid_request", "Last-Event-ID must be the id of an event of /mcp.");
    if (!mcp_may_see(r, &call.execution))
        return reply_rejected(r);
    enum err e = execution_progress(r->app->db, r, &r->access.workspace_id, &call.execution, &run);
    if (e != OK)
        return reply_err(r, e);
    if (call.after > run.last_seq)
        call.after = run.last_seq;
    return mcp_follow(r, &call, mcp_wait_seconds(r, call.token));
}

int h_mcp_called(struct request *r)
{
    struct execution exec;
    id key, execution;
    size_t size;
    const char *rpc_hex = request_query(r, "rpc");
    const char *rpc_id = rpc_hex ? mcp_unhex(r, rpc_hex, strlen(rpc_hex)) : NULL;
    if (!request_query_id(r, "execution", &execution))
        return reply_rejected(r);
    enum err e = rpc_id ? execution_outcome(r->app->db, r, &r->access.workspace_id, &execution, &exec, &key)
                        : ERR_INTERNAL;
    if (e != OK)
        return reply_err(r, e);
    r->execution_id = execution;
    const char *body = mcp_outcome_response(r, rpc_id, &exec, &size);
    return reply_json(r, 200, body, size);
}
