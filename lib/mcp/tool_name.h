/* Names of tools. A skill's tool has the skill's slug, which has no underscore; a workflow's tool has a name
 * made of the workflow's, which always has one: the two never collide. Models accept letters, digits,
 * underscores and hyphens, at most 64. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/ids.h"

enum { MCP_TOOL_NAME_MAX = 64 };

#define MCP_GET_EXECUTION "get_execution"
#define MCP_STOP_EXECUTION "stop_execution"

/* Makes the tool's name of a workflow's name: lower-case ASCII letters and digits, anything else an
 * underscore, none at either end; "run_" before a name without underscore or of a tool of the server. A name
 * without letters and digits is replaced by the end of the workflow's id. */
void mcp_tool_name(const char *name, size_t size, const id *workflow, char out[MCP_TOOL_NAME_MAX + 1]);
/* True if `name` may name a tool: 1 to 64 letters, digits, underscores and hyphens. */
bool mcp_tool_name_fits(const char *name);
