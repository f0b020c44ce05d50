/* The messages of the Model Context Protocol that the API and the event daemon both write: JSON-RPC 2.0.
 * Pure. Sources: the specification's revisions 2025-11-25 and 2026-07-28. */
#pragma once

#include "mcp/call.h"
#include "store/execution.h"
#include "json/json_write.h"

enum mcp_error_code {
    MCP_PARSE_ERROR = -32700,
    MCP_INVALID_REQUEST = -32600,
    MCP_METHOD_NOT_FOUND = -32601,
    MCP_INVALID_PARAMS = -32602,
    MCP_INTERNAL_ERROR = -32603,
    /* of 2026-07-28 and later */
    MCP_HEADER_MISMATCH = -32020,
    MCP_UNSUPPORTED_VERSION = -32022
};

/* Opens a response and its `result`; the caller adds members, and mcp_result_close returns the text. */
struct json_write *mcp_result_open(void *ctx, const char *rpc_id);
const char *mcp_result_close(struct json_write *w, size_t *size_r);
/* The server's name and version, an object. */
void mcp_write_server_info(struct json_write *w);
/* The members that 2026-07-28 requires of each result, and which earlier revisions ignore: it is the final
 * one, and of this server. */
void mcp_write_complete(struct json_write *w);
/* The members that 2026-07-28 requires of what a client might cache: it may not, as nothing tells it of
 * changes. */
void mcp_write_uncached(struct json_write *w);
/* An error response. `rpc_id` NULL: the request's id is not known; `data` is JSON or NULL. */
const char *mcp_error(void *ctx, const char *rpc_id, enum mcp_error_code code, const char *message,
                      const char *data);
/* The members of the result of a call whose run is in this state, as execution_outcome has read it: its
 * output, its error, or, while it is not terminal, how to ask for it later. */
void mcp_write_outcome(struct json_write *w, const struct execution *exec);
/* The members of the result of stop_execution, after which the run is in this state: no error. */
void mcp_write_stopped(struct json_write *w, const struct execution *exec);
/* The members of the result of a call that failed before it had a run. */
void mcp_write_tool_error(struct json_write *w, const char *text);
/* The whole response to a call (mcp_write_outcome). */
const char *mcp_outcome_response(void *ctx, const char *rpc_id, const struct execution *exec, size_t *size_r);
/* The JSON Schema of `structuredContent` as mcp_write_outcome writes it. `output`: the schema of the output,
 * JSON; NULL: any. `id`: names the schema of the output, so that its references to itself keep their meaning.
 */
void mcp_write_output_schema(struct json_write *w, const char *output, size_t size, const id *responder,
                             int version);
/* A notification of progress. `message` is a JSON string. */
const char *mcp_progress(void *ctx, const struct mcp_call *call, const char *message, size_t *size_r);
