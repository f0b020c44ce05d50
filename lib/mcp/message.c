#define _GNU_SOURCE /* memmem */
#include "mcp/message.h"

#include <string.h>
#include <talloc.h>

#include "base/version.h"
#include "json/json.h"
#include "json/json_raw.h"

/* Bytes of an output that is repeated as text, for clients that do not read structuredContent. */
enum { TEXT_MAX = 64 * 1024 };

static struct json_write *open_message(void *ctx)
{
    struct json_write *w = json_write_new(ctx);
    json_write_open(w, '{');
    json_write_text(w, "jsonrpc", "2.0");
    return w;
}

struct json_write *mcp_result_open(void *ctx, const char *rpc_id)
{
    struct json_write *w = open_message(ctx);
    json_write_json(w, "id", rpc_id);
    json_write_key(w, "result");
    json_write_open(w, '{');
    return w;
}

const char *mcp_result_close(struct json_write *w, size_t *size_r)
{
    json_write_close(w, '}');
    json_write_close(w, '}');
    return json_write_result(w, size_r);
}

void mcp_write_server_info(struct json_write *w)
{
    json_write_open(w, '{');
    json_write_text(w, "name", "millrace");
    json_write_text(w, "title", "Millrace");
    json_write_text(w, "version", MILLRACE_VERSION);
    json_write_close(w, '}');
}

void mcp_write_complete(struct json_write *w)
{
    json_write_text(w, "resultType", "complete");
    json_write_key(w, "_meta");
    json_write_open(w, '{');
    json_write_key(w, "io.modelcontextprotocol/serverInfo");
    mcp_write_server_info(w);
    json_write_close(w, '}');
}

void mcp_write_uncached(struct json_write *w)
{
    json_write_int(w, "ttlMs", 0);
    json_write_text(w, "cacheScope", "private");
}

const char *mcp_error(void *ctx, const char *rpc_id, enum mcp_error_code code, const char *message,
                      const char *data)
{
    struct json_write *w = open_message(ctx);
    if (rpc_id)
        json_write_json(w, "id", rpc_id);
    json_write_key(w, "error");
    json_write_open(w, '{');
    json_write_int(w, "code", code);
    json_write_text(w, "message", message);
    if (data)
        json_write_json(w, "data", data);
    json_write_close(w, '}');
    json_write_close(w, '}');
    return json_write_result(w, NULL);
}

/* --- results of calls --- */

static void open_content(struct json_write *w)
{
    json_write_key(w, "content");
    json_write_open(w, '[');
    json_write_open(w, '{');
    json_write_text(w, "type", "text");
}

static void close_content(struct json_write *w)
{
    json_write_close(w, '}');
    json_write_close(w, ']');
}

static void write_text_content(struct json_write *w, const char *text)
{
    open_content(w);
    json_write_text(w, "text", text);
    close_content(w);
}

/* The output as text: a string as it is, anything else as JSON. */
static void write_output_content(struct json_write *w, const struct execution *exec)
{
    const char *output = exec->output ? exec->output : "null";
    size_t size = strlen(output);
    if (size > TEXT_MAX) {
        write_text_content(
            w, talloc_asprintf(
                   w, "The output has %zu bytes: read it in structuredContent, or from execution %s.", size,
                   exec->id.text));
        return;
    }
    open_content(w);
    json_write_key(w, "text");
    if (output[0] == '"')
        json_write_raw(w, output, size);
    else
        json_write_bytes(w, output, size);
    close_content(w);
}

static void write_error_content(struct json_write *w, const struct execution *exec, const char *code)
{
    const char *error = exec->error ? exec->error : "The run has failed.";
    write_text_content(w, talloc_asprintf(w, "%s: %s (execution %s)", code, error, exec->id.text));
}

static void write_structured(struct json_write *w, const struct execution *exec, const char *code)
{
    json_write_key(w, "structuredContent");
    json_write_open(w, '{');
    json_write_id(w, "execution_id", &exec->id);
    json_write_text(w, "status", state_status(exec->state));
    if (state_is_terminal(exec->state))
        json_write_credits(w, "credits_used", exec->cost - exec->refunded);
    if (exec->state == STATE_SUCCEEDED)
        json_write_json(w, "output", exec->output);
    if (code) {
        json_write_key(w, "error");
        json_write_open(w, '{');
        json_write_text(w, "code", code);
        json_write_text(w, "message", exec->error);
        json_write_close(w, '}');
    }
    json_write_close(w, '}');
}

void mcp_write_outcome(struct json_write *w, const struct execution *exec)
{
    const char *code = NULL;
    if (exec->state == STATE_FAILED || exec->state == STATE_STOPPED) {
        const char *reason = reason_name(exec->reason);
        code = reason ? reason : state_name(exec->state);
        write_error_content(w, exec, code);
    } else if (exec->state == STATE_SUCCEEDED) {
        write_output_content(w, exec);
    } else {
        write_text_content(
            w, talloc_asprintf(w,
                               "The run has not ended yet. Call get_execution with execution_id %s to get "
                               "its output.",
                               exec->id.text));
    }
    write_structured(w, exec, code);
    json_write_flag(w, "isError", code != NULL);
    mcp_write_complete(w);
}

void mcp_write_stopped(struct json_write *w, const struct execution *exec)
{
    write_text_content(w, talloc_asprintf(w, "The execution has the status %s.", state_status(exec->state)));
    write_structured(w, exec, NULL);
    json_write_flag(w, "isError", false);
    mcp_write_complete(w);
}

void mcp_write_tool_error(struct json_write *w, const char *text)
{
    write_text_content(w, text);
    json_write_flag(w, "isError", true);
    mcp_write_complete(w);
}

const char *mcp_outcome_response(void *ctx, const char *rpc_id, const struct execution *exec, size_t *size_r)
{
    struct json_write *w = mcp_result_open(ctx, rpc_id);
    mcp_write_outcome(w, exec);
    return mcp_result_close(w, size_r);
}

/* --- the schema of results --- */

/* The schema of the output stands inside another schema: it gets an $id if it refers to parts of itself. */
static void write_inner_schema(struct json_write *w, const char *schema, size_t size, const id *responder,
                               int version)
{
    const char *at;
    size_t n;
    bool refers = memmem(schema, size, "\"$ref\"", 6) || memmem(schema, size, "\"$dynamicRef\"", 13);
    const char *brace = memchr(schema, '{', size);
    if (!refers || !brace || json_raw_member(schema, size, "$id", &at, &n)) {
        json_write_raw(w, schema, size);
        return;
    }
    char *named = talloc_asprintf(w, "{\"$id\":\"urn:millrace:%s:%d\",%.*s", responder->text, version,
                                  (int)(schema + size - brace - 1), brace + 1);
    json_write_raw(w, named, strlen(named));
    talloc_free(named);
}

void mcp_write_output_schema(struct json_write *w, const char *output, size_t size, const id *responder,
                             int version)
{
    json_write_open(w, '{');
    json_write_text(w, "type", "object");
    json_write_json(w, "required", "[\"execution_id\",\"status\"]");
    json_write_key(w, "properties");
    json_write_open(w, '{');
    json_write_json(w, "execution_id", "{\"type\":\"string\"}");
    json_write_json(w, "status",
                    "{\"type\":\"string\",\"enum\":[\"running\",\"success\",\"failed\",\"stopped\"],"
                    "\"description\":\"running: call get_execution later\"}");
    json_write_json(w, "credits_used", "{\"type\":\"number\"}");
    json_write_json(w, "error",
                    "{\"type\":\"object\",\"properties\":{\"code\":{\"type\":\"string\"},"
                    "\"message\":{\"type\":[\"string\",\"null\"]}}}");
    json_write_key(w, "output");
    if (output)
        write_inner_schema(w, output, size, responder, version);
    else
        json_write_raw(w, "{}", 2);
    json_write_close(w, '}');
    json_write_close(w, '}');
}

/* --- notifications --- */

const char *mcp_progress(void *ctx, const struct mcp_call *call, const char *message, size_t *size_r)
{
    struct json_write *w = open_message(ctx);
    json_write_text(w, "method", "notifications/progress");
    json_write_key(w, "params");
    json_write_open(w, '{');
    json_write_json(w, "progressToken", call->token);
    json_write_int(w, "progress", call->progress);
    json_write_json(w, "message", message);
    json_write_close(w, '}');
    json_write_close(w, '}');
    return json_write_result(w, size_r);
}
