#include "stream/tool_call.h"

#include <string.h>
#include <talloc.h>

#include "mcp/message.h"
#include "run/event_json.h"
#include "stream/sse.h"
#include "json/json_raw.h"

static void append_message(char **out, const struct mcp_call *call, const char *text, size_t size)
{
    char *event_id = mcp_event_id(NULL, call);
    sse_append_message(out, event_id, text, size);
    talloc_free(event_id);
}

void tool_call_append_prime(char **out, const struct mcp_call *call)
{
    append_message(out, call, "", 0);
}

static void append_progress(char **out, struct mcp_call *call, const char *message)
{
    size_t size;
    void *scratch = talloc_new(NULL);
    call->progress++;
    const char *text = mcp_progress(scratch, call, message, &size);
    append_message(out, call, text, size);
    talloc_free(scratch);
}

/* The inner text of the JSON string that is a member of the event's data, such as the name of a step; NULL:
 * the data have no such string. */
static const char *data_text(const char *json, size_t size, const char *name, size_t *size_r)
{
    const char *data, *text;
    size_t n;
    if (!json_raw_member(json, size, "data", &data, &n) || !json_raw_member(data, n, name, &text, size_r) ||
        *size_r < 2 || *text != '"')
        return NULL;
    *size_r -= 2;
    return text + 1;
}

void tool_call_append_event(char **out, struct mcp_call *call, int seq, enum event_type type,
                            const char *json, size_t size)
{
    size_t n = 0;
    call->after = seq;
    if (!call->token || type == EVENT_LOG || event_is_terminal(type))
        return;
    const char *detail = data_text(json, size, "message", &n);
    if (!detail)
        detail = data_text(json, size, "name", &n);
    char *message = detail ? talloc_asprintf(NULL, "\"%s: %.*s\"", event_name(type), (int)n, detail)
                           : talloc_asprintf(NULL, "\"%s\"", event_name(type));
    append_progress(out, call, message);
    talloc_free(message);
}

void tool_call_append_beat(char **out, struct mcp_call *call)
{
    if (call->token)
        append_progress(out, call, "\"the run has not ended yet\"");
}

void tool_call_append_outcome(char **out, const struct mcp_call *call, const struct execution *exec)
{
    size_t size;
    void *scratch = talloc_new(NULL);
    const char *text = mcp_outcome_response(scratch, call->rpc_id, exec, &size);
    append_message(out, call, text, size);
    talloc_free(scratch);
}

void tool_call_append_running(char **out, const struct mcp_call *call)
{
    tool_call_append_outcome(out, call, &(struct execution){.id = call->execution, .state = STATE_RUNNING});
}

void tool_call_append_gone(char **out, const struct mcp_call *call)
{
    void *scratch = talloc_new(NULL);
    const char *text =
        mcp_error(scratch, call->rpc_id, MCP_INTERNAL_ERROR, "The execution does not exist any more.", NULL);
    append_message(out, call, text, strlen(text));
    talloc_free(scratch);
}
