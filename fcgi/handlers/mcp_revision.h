/* The revisions of the Model Context Protocol that /mcp serves. Up to 2025-11-25, a client begins with
 * `initialize`; from 2026-07-28 on, each request names its revision in `_meta` and repeats members in
 * headers. Sources: the specification's revision 2026-07-28, basic/index, basic/versioning and
 * basic/transports/streamable-http. */
#pragma once

#include <stdbool.h>

#include "fcgi/forms/rpc.h"

struct request;

enum mcp_era { MCP_ERA_REJECTED, MCP_ERA_SESSION, MCP_ERA_STATELESS };

/* How the message is to be served. MCP_ERA_REJECTED: the reply is set, 400 with a JSON-RPC error: the
 * revision is not served, or a member or header that its revision requires is missing or differs. */
enum mcp_era mcp_read_era(struct request *r, const struct rpc *rpc);
/* True if the header MCP-Protocol-Version names a revision without sessions. */
bool mcp_header_is_stateless(const struct request *r);
/* The revision that the response to `initialize` names: the one that was asked for, or the newest with
 * sessions. */
const char *mcp_initialize_version(const char *asked);
/* Writes the revisions, as a JSON array. */
void mcp_write_versions(struct json_write *w);
