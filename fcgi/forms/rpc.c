#include "fcgi/forms/rpc.h"

#include <stdarg.h>
#include <string.h>
#include <talloc.h>

#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "fcgi/http/request_body.h"
#include "json/json.h"
#include "json/json_raw.h"

/* --- replies --- */

int rpc_reply_error(struct request *r, int status, const struct rpc *rpc, enum mcp_error_code code,
                    const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *message = reply_text(r, talloc_vasprintf(r, format, args));
    va_end(args);
    const char *body = mcp_error(r, rpc->id, code, message, NULL);
    return reply_json(r, status, body, strlen(body));
}

int rpc_reply_result(struct request *r, struct json_write *w)
{
    size_t size;
    const char *body = mcp_result_close(w, &size);
    return reply_json(r, 200, body, size);
}

/* "CODE: DETAIL", and a line for each of `errors`. */
static char *problem_as_text(struct request *r, json_object *problem)
{
    const char *code = json_get_text(problem, "code");
    const char *detail = json_get_text(problem, "detail");
    json_object *errors = json_get(problem, "errors");
    char *text = talloc_asprintf(r, "%s: %s", code ? code : "internal", detail ? detail : "");
    size_t n = json_object_is_type(errors, json_type_array) ? json_object_array_length(errors) : 0;
    for (size_t i = 0; i < n; i++) {
        json_object *each = json_object_array_get_idx(errors, i);
        const char *pointer = json_get_text(each, "pointer"), *message = json_get_text(each, "message");
        text = talloc_asprintf_append_buffer(text, "\n%s %s", pointer ? pointer : "", message ? message : "");
    }
    return text;
}

int rpc_reply_problem(struct request *r, const struct rpc *rpc)
{
    json_object *problem = NULL;
    const char *why;
    int status = reply_rejected(r);
    if (json_parse(r, r->reply.body, r->reply.size, JSON_DEPTH_MAX, &problem, &why) != OK)
        problem = NULL;
    char *text = problem_as_text(r, problem);
    if (status >= 500)
        return rpc_reply_error(r, status, rpc, MCP_INTERNAL_ERROR, "%s", text);
    if (status != 402 && status != 403 && status != 409 && status != 422 && status != 429)
        return rpc_reply_error(r, 200, rpc, MCP_INVALID_PARAMS, "%s", text);
    struct json_write *w = mcp_result_open(r, rpc->id);
    mcp_write_tool_error(w, text);
    return rpc_reply_result(r, w);
}

/* --- reading --- */

/* The JSON text of an id or a progress token; NULL: it is neither a string nor an integer, or too long. */
static const char *id_text(json_object *value)
{
    if (!json_object_is_type(value, json_type_string) && !json_object_is_type(value, json_type_int))
        return NULL;
    size_t size;
    const char *text = json_text(value, &size);
    return size <= MCP_ID_MAX ? text : NULL;
}

static bool reject_rpc(struct request *r, const struct rpc *rpc, enum mcp_error_code code, const char *what)
{
    rpc_reply_error(r, 400, rpc, code, "%s", what);
    return false;
}

static bool parse_message(struct request *r, struct rpc *rpc, json_object **message_r)
{
    const char *why = "the body is empty";
    if (!request_body_is_json(r))
        return false;
    /* one level more than a body of run-async: the arguments stand in `params` */
    if (r->body_size == 0 || json_parse(r, r->body, r->body_size, JSON_DEPTH_MAX + 1, message_r, &why) != OK)
        return reject_rpc(r, rpc, MCP_PARSE_ERROR, talloc_asprintf(r, "Invalid JSON: %s.", why));
    if (json_object_is_type(*message_r, json_type_array))
        return reject_rpc(r, rpc, MCP_INVALID_REQUEST,
                          "Batches are not supported: send one message in each request.");
    const char *version = json_get_text(*message_r, "jsonrpc");
    if (!version || strcmp(version, "2.0") != 0)
        return reject_rpc(r, rpc, MCP_INVALID_REQUEST,
                          "The body must be an object with \"jsonrpc\": \"2.0\".");
    return true;
}

static bool read_rpc_id(struct request *r, json_object *message, struct rpc *rpc)
{
    json_object *value;
    if (!json_object_object_get_ex(message, "id", &value))
        return true;
    rpc->id = id_text(value);
    return rpc->id || reject_rpc(r, rpc, MCP_INVALID_REQUEST,
                                 "The id must be a string or an integer, of at most 256 bytes as JSON.");
}

/* False also for a response, which is accepted and ignored. */
static bool read_rpc_method(struct request *r, json_object *message, struct rpc *rpc)
{
    rpc->method = json_get_text(message, "method");
    if (rpc->method)
        return true;
    if (!json_object_object_get_ex(message, "result", NULL) &&
        !json_object_object_get_ex(message, "error", NULL))
        return reject_rpc(r, rpc, MCP_INVALID_REQUEST, "The method must be a string.");
    reply_empty(r, 202);
    return false;
}

static bool read_rpc_params(struct request *r, json_object *message, struct rpc *rpc)
{
    rpc->params = json_get(message, "params");
    if (!rpc->params)
        return true;
    if (!json_object_is_type(rpc->params, json_type_object))
        return reject_rpc(r, rpc, MCP_INVALID_PARAMS, "The params must be an object.");
    json_raw_member(r->body, r->body_size, "params", &rpc->params_raw.at, &rpc->params_raw.size);
    json_object *token = json_get(json_get(rpc->params, "_meta"), "progressToken");
    rpc->token = token ? id_text(token) : NULL;
    return !token || rpc->token ||
           reject_rpc(r, rpc, MCP_INVALID_PARAMS,
                      "The progressToken must be a string or an integer, of at most 256 bytes "
                      "as JSON.");
}

bool rpc_read(struct request *r, struct rpc *rpc_r)
{
    json_object *message;
    *rpc_r = (struct rpc){0};
    return parse_message(r, rpc_r, &message) && read_rpc_id(r, message, rpc_r) &&
           read_rpc_method(r, message, rpc_r) && read_rpc_params(r, message, rpc_r);
}
