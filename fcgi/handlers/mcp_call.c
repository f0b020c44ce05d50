/* tools/call and notifications/cancelled of /mcp. */
#include <sodium.h>
#include <string.h>
#include <talloc.h>

#include "account/idempotency.h"
#include "base/scopes.h"
#include "fcgi/cache/skill_cache.h"
#include "fcgi/forms/execution_scope.h"
#include "fcgi/forms/start_run.h"
#include "fcgi/forms/stop_reply.h"
#include "fcgi/forms/wait.h"
#include "fcgi/handlers/mcp_tools.h"
#include "fcgi/handlers/skill_target.h"
#include "fcgi/handlers/workflow_target.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "mcp/tool_name.h"
#include "store/event.h"
#include "store/execution.h"
#include "store/skill.h"
#include "store/workflow.h"
#include "json/json_raw.h"

struct tool_arguments {
    /* An object; NULL: none were sent. */
    json_object *value;
    struct span raw;
};

/* --- following a run --- */

int64_t mcp_wait_seconds(const struct request *r, const char *token)
{
    const struct config *c = r->app->config;
    return token ? c->mcp.progress_wait_s : c->mcp.wait_s;
}

/* Clients of 2025-11-25 understand an event without data; later ones do not resume. */
static bool client_is_primed(const struct request *r)
{
    const char *version = request_param(r, "HTTP_MCP_PROTOCOL_VERSION");
    return version && strcmp(version, "2025-11-25") == 0;
}

int mcp_follow(struct request *r, const struct mcp_call *call, int64_t seconds)
{
    r->execution_id = call->execution;
    return reply_internal(
        r,
        "/internal/stream/"
        "call?execution=%s&workspace=%s&key=%s&after=%d&progress=%d&rpc=%s&token=%s&prime=%d&seconds=%lld&"
        "streams=%lld",
        call->execution.text, r->access.workspace_id.text, r->access.key_id.text, call->after, call->progress,
        mcp_hex(r, call->rpc_id), call->token ? mcp_hex(r, call->token) : "", client_is_primed(r),
        (long long)seconds, wait_streams_max(r));
}

bool mcp_may_see(struct request *r, const id *execution)
{
    struct execution exec;
    id key;
    if (r->access.scopes & SCOPE_EXECUTIONS_READ)
        return true;
    enum err e = execution_outcome(r->app->db, r, &r->access.workspace_id, execution, &exec, &key);
    if (e == OK && id_equal(&key, &r->access.key_id))
        return true;
    reply_err(r, e == OK ? ERR_NOT_FOUND : e);
    return false;
}

/* --- starting a run --- */

/* Without an Idempotency-Key of its own, a call is known by its session and its id for 24 hours: a message
 * that a client sends twice starts one run, and notifications/cancelled finds it. */
static struct span call_key(struct request *r, const char *rpc_id, const id *session)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    char hex[2 * sizeof hash + 1];
    if (!id_is_set(session))
        return (struct span){0};
    const char *text = talloc_asprintf(r, "%s %s %s", r->access.key_id.text, session->text, rpc_id);
    crypto_hash_sha256(hash, (const unsigned char *)text, strlen(text));
    return span_text(talloc_asprintf(r, "mcp %s", sodium_bin2hex(hex, sizeof hex, hash, sizeof hash)));
}

static bool prepare_call(struct request *r, const struct rpc *rpc, const id *session,
                         const struct tool_arguments *arguments, struct run_request *req)
{
    if (!start_run_prepare(r, req))
        return false;
    req->input = arguments->raw;
    if (req->idempotency_key.at)
        return true;
    req->idempotency_key = call_key(r, rpc->id, session);
    if (req->idempotency_key.at)
        request_fingerprint(r, req->fingerprint);
    return true;
}

static int follow_started(struct request *r, const struct rpc *rpc, int status)
{
    if ((status != 201 && status != 202) || !id_is_set(&r->execution_id))
        return rpc_reply_problem(r, rpc);
    struct mcp_call call = {.execution = r->execution_id, .rpc_id = rpc->id, .token = rpc->token};
    return mcp_follow(r, &call, mcp_wait_seconds(r, rpc->token));
}

static int reply_unknown_tool(struct request *r, const struct rpc *rpc, const char *name)
{
    return rpc_reply_error(r, 200, rpc, MCP_INVALID_PARAMS, "Unknown tool: %s.", name);
}

static int reply_rpc_err(struct request *r, const struct rpc *rpc, enum err e)
{
    reply_err(r, e);
    return rpc_reply_problem(r, rpc);
}

static int call_workflow(struct request *r, const struct rpc *rpc, const id *session, const char *name,
                         const struct tool_arguments *arguments)
{
    struct run_request req = {.kind = KIND_WORKFLOW, .first_response.status = 202};
    enum err e = (r->access.scopes & SCOPE_WORKFLOWS_EXECUTE) != 0
                     ? workflow_find_tool(r->app->db, r, &r->access.workspace_id, name, &req.responder_id)
                     : ERR_NOT_FOUND;
    if (e == ERR_NOT_FOUND)
        return reply_unknown_tool(r, rpc, name);
    if (e != OK)
        return reply_rpc_err(r, rpc, e);
    if (!prepare_call(r, rpc, session, arguments, &req))
        return rpc_reply_problem(r, rpc);
    req.first_response.body = run_accepted_body(
        r, &(struct run_accepted){&req.execution_id, &req.responder_id, &req.retry_of, 0, 0});
    return follow_started(r, rpc, start_run_without_wait(r, &req, workflow_validate_target));
}

static int call_skill(struct request *r, const struct rpc *rpc, const id *session, const char *name,
                      const struct tool_arguments *arguments)
{
    struct skill_start_form s = {.run = {.kind = KIND_SKILL, .first_response.status = 201}, .slug = name};
    struct skill skill;
    const struct manifest *m = NULL;
    enum err e = (r->access.scopes & SCOPE_SKILLS_EXECUTE) != 0
                     ? skill_get_current(r->app->db, r, &r->access.workspace_id, name, &skill)
                     : ERR_NOT_FOUND;
    if (e == OK)
        e = skill_cache_manifest(r, &skill, &m);
    if (e == ERR_NOT_FOUND || (e == OK && !m->expose))
        return reply_unknown_tool(r, rpc, name);
    if (e != OK)
        return reply_rpc_err(r, rpc, e);
    s.inputs = arguments->value;
    if (!prepare_call(r, rpc, session, arguments, &s.run))
        return rpc_reply_problem(r, rpc);
    return follow_started(r, rpc, start_run_without_wait(r, &s.run, skill_validate_target));
}

/* --- the server's own tools --- */

/* Reads the only argument of both. False: the reply is set. */
static bool read_execution(struct request *r, const struct rpc *rpc, const struct tool_arguments *arguments,
                           id *execution_r)
{
    const char *text = json_get_text(arguments->value, "execution_id");
    if (text && id_parse(text, strlen(text), execution_r) && json_object_object_length(arguments->value) == 1)
        return true;
    struct json_write *w = mcp_result_open(r, rpc->id);
    mcp_write_tool_error(
        w, "invalid_inputs: execution_id must be the id of an execution, and the only argument.");
    rpc_reply_result(r, w);
    return false;
}

static int reply_no_execution(struct request *r, const struct rpc *rpc)
{
    struct json_write *w = mcp_result_open(r, rpc->id);
    if (reply_rejected(r) != 404)
        return rpc_reply_problem(r, rpc);
    mcp_write_tool_error(w, "not_found: there is no such execution, or this key may not see it.");
    return rpc_reply_result(r, w);
}

static int call_get_execution(struct request *r, const struct rpc *rpc,
                              const struct tool_arguments *arguments)
{
    struct mcp_call call = {.rpc_id = rpc->id, .token = rpc->token};
    struct run_progress run;
    if (!read_execution(r, rpc, arguments, &call.execution))
        return reply_rejected(r);
    enum err e = execution_progress(r->app->db, r, &r->access.workspace_id, &call.execution, &run);
    if (e != OK)
        reply_err(r, e);
    if (e != OK || !mcp_may_see(r, &call.execution))
        return reply_no_execution(r, rpc);
    call.after = run.last_seq; /* the call is told what happens from now on, and the outcome */
    return mcp_follow(r, &call, mcp_wait_seconds(r, rpc->token));
}

/* Stops a run of the key's scopes. */
static enum stop_verdict stop_called(struct request *r, const id *execution)
{
    struct stop_request req = {.workspace_id = r->access.workspace_id,
                               .execution_id = *execution,
                               .first_response.status = 200,
                               .error = "stopped by the caller"};
    r->execution_id = *execution;
    return stop_run(r->app->db, r->app->redis, r, &req, NULL);
}

static int call_stop_execution(struct request *r, const struct rpc *rpc,
                               const struct tool_arguments *arguments)
{
    id execution, key;
    struct execution exec;
    if (!read_execution(r, rpc, arguments, &execution))
        return reply_rejected(r);
    if (!require_execute_scope(r, &execution))
        return reply_no_execution(r, rpc);
    enum stop_verdict verdict = stop_called(r, &execution);
    enum err e = verdict == STOP_DONE || verdict == STOP_TERMINAL
                     ? execution_outcome(r->app->db, r, &r->access.workspace_id, &execution, &exec, &key)
                     : stop_err(verdict);
    if (e != OK) {
        reply_err(r, e);
        return reply_no_execution(r, rpc);
    }
    struct json_write *w = mcp_result_open(r, rpc->id);
    mcp_write_stopped(w, &exec);
    return rpc_reply_result(r, w);
}

/* --- the methods --- */

static bool read_arguments(struct request *r, const struct rpc *rpc, struct tool_arguments *arguments_r)
{
    static const char empty[] = "{}";
    *arguments_r = (struct tool_arguments){.raw = {empty, sizeof empty - 1}};
    arguments_r->value = json_get(rpc->params, "arguments");
    if (!arguments_r->value) {
        arguments_r->value = json_own(r, json_object_new_object());
        return true;
    }
    if (!json_object_is_type(arguments_r->value, json_type_object)) {
        rpc_reply_error(r, 200, rpc, MCP_INVALID_PARAMS, "The arguments must be an object.");
        return false;
    }
    json_raw_member(rpc->params_raw.at, rpc->params_raw.size, "arguments", &arguments_r->raw.at,
                    &arguments_r->raw.size);
    return true;
}

int mcp_tools_call(struct request *r, const struct rpc *rpc, const id *session)
{
    struct tool_arguments arguments;
    const char *name = json_get_text(rpc->params, "name");
    if (!name)
        return rpc_reply_error(r, 200, rpc, MCP_INVALID_PARAMS, "The name of the tool must be a string.");
    if (!mcp_tool_name_fits(name))
        return reply_unknown_tool(r, rpc, name);
    if (!read_arguments(r, rpc, &arguments))
        return reply_rejected(r);
    if (strcmp(name, MCP_GET_EXECUTION) == 0)
        return call_get_execution(r, rpc, &arguments);
    if (strcmp(name, MCP_STOP_EXECUTION) == 0)
        return call_stop_execution(r, rpc, &arguments);
    return strchr(name, '_') ? call_workflow(r, rpc, session, name, &arguments)
                             : call_skill(r, rpc, session, name, &arguments);
}

int mcp_cancelled(struct request *r, const struct rpc *rpc, const id *session)
{
    static const uint8_t none[IDEMPOTENCY_FINGERPRINT] = {0};
    struct idempotency_match match = {0};
    json_object *request_id = json_get(rpc->params, "requestId");
    struct idempotency_key key = {.workspace_id = r->access.workspace_id,
                                  .key = call_key(r, json_text(request_id, NULL), session),
                                  .fingerprint = none};
    if (!request_id || !key.key.at || idempotency_lookup(r->app->db, r, &key, &match) != OK ||
        !id_is_set(&match.execution_id) || !require_execute_scope(r, &match.execution_id)) {
        r->reply = (struct reply){0}; /* a notification has no error: the call is not known, or has no run */
        return reply_empty(r, 202);
    }
    (void)stop_called(r, &match.execution_id);
    return reply_empty(r, 202);
}
