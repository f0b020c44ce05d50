/* Formats the stream of a tools/call (mcp/call.h): notifications of progress made of the run's events, and
 * the response. Pure: appends server-sent events to the talloc string *out. */
#pragma once

#include <stddef.h>

#include "mcp/call.h"
#include "run/states.h"
#include "store/execution.h"

/* An event without data that tells the client where to resume. */
void tool_call_append_prime(char **out, const struct mcp_call *call);
/* An event of the run, as event_json_make wrote it: call->after becomes its number. Progress is sent if the
 * client gave a token, and the event is neither a line of a log nor the last one. */
void tool_call_append_event(char **out, struct mcp_call *call, int seq, enum event_type type,
                            const char *json, size_t size);
/* Progress without an event, which shows the client that the run is still followed. */
void tool_call_append_beat(char **out, struct mcp_call *call);
/* The response. */
void tool_call_append_outcome(char **out, const struct mcp_call *call, const struct execution *exec);
/* The response of a call whose run has not ended. */
void tool_call_append_running(char **out, const struct mcp_call *call);
/* The response of a call whose run does not exist any more. */
void tool_call_append_gone(char **out, const struct mcp_call *call);
