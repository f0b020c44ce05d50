/* A message of JSON-RPC 2.0 as the Model Context Protocol sends it in the body of POST /mcp, and its replies
 * (mcp/message.h). */
#pragma once

#include "base/span.h"
#include "mcp/message.h"
#include "json/json.h"

struct request;

struct rpc {
    /* JSON text of the id, a string or an integer of at most MCP_ID_MAX bytes; NULL: a notification, or the
     * message was rejected before its id was known */
    const char *id;
    const char *method;
    /* an object, or NULL */
    json_object *params;
    /* its bytes as sent; absent with it */
    struct span params_raw;
    /* JSON text of the progress token; NULL: none */
    const char *token;
};

/* Reads the body. False: it is no message that the server serves, and the reply is set: 202 for a response of
 * the client (the server sends no requests), else a JSON-RPC error with status 400, or a problem document
 * where the API replies so (415, 429). */
bool rpc_read(struct request *r, struct rpc *rpc_r) WARN_UNUSED;
/* Replies with a JSON-RPC error. */
int rpc_reply_error(struct request *r, int status, const struct rpc *rpc, enum mcp_error_code code,
                    const char *format, ...) PRINTF_LIKE(5, 6);
/* Replies with the result that was written to `w` (mcp_result_open). */
int rpc_reply_result(struct request *r, struct json_write *w);
/* Replaces the reply of a form or of start_run, a problem document, by one of JSON-RPC: what the caller or
 * its model can correct (402, 403, 409, 422, 429) becomes the result of a failed tool, other errors of the
 * caller become invalid params, and errors of the server keep their status. */
int rpc_reply_problem(struct request *r, const struct rpc *rpc);
