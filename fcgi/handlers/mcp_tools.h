/* The methods of the Model Context Protocol that concern tools. Each replies and returns the status. */
#pragma once

#include "fcgi/forms/rpc.h"

struct request;

/* `session`: what the client names in Mcp-Session-Id; unset: none. */
int mcp_tools_list(struct request *r, const struct rpc *rpc);
int mcp_tools_call(struct request *r, const struct rpc *rpc, const id *session);
/* notifications/cancelled: stops the run that a call of this key and session has started. Replies 202 in any
 * case. */
int mcp_cancelled(struct request *r, const struct rpc *rpc, const id *session);
/* Hands the request to the event daemon, which answers the call. `seconds`: until it is answered without an
 * end. */
int mcp_follow(struct request *r, const struct mcp_call *call, int64_t seconds);
/* True if the key may read the run: it has executions:read, or has started the run itself. Otherwise the
 * reply is set. */
bool mcp_may_see(struct request *r, const id *execution) WARN_UNUSED;
/* Seconds until a call is answered without an end. */
int64_t mcp_wait_seconds(const struct request *r, const char *token);
