#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "run/event_json.h"
#include "stream/tool_call.h"

#define RUN "0190a5d4-7c3a-7000-8000-000000000001"

static void append_run_event(char **out, struct mcp_call *call, int seq, enum event_type type,
                             const char *data)
{
    char *text = event_json_make(NULL, &call->execution, seq, type, 0, data);
    tool_call_append_event(out, call, seq, type, text, strlen(text));
    talloc_free(text);
}

Test(tool_call, turns_events_into_progress)
{
    struct mcp_call call = {.execution = {RUN}, .rpc_id = "1", .token = "\"t\""};
    char *out = talloc_strdup(NULL, "");
    tool_call_append_prime(&out, &call);
    append_run_event(&out, &call, 1, EVENT_STEP_STARTED, "{\"index\":0,\"name\":\"a \\\"b\\\"\"}");
    append_run_event(&out, &call, 2, EVENT_LOG, "{\"text\":\"x\"}");
    append_run_event(&out, &call, 3, EVENT_PROGRESS, "{\"name\":7,\"message\":\"half\"}");
    tool_call_append_beat(&out, &call);
    append_run_event(&out, &call, 4, EVENT_SUCCEEDED, NULL);
    cr_assert_str_eq(
        out,
        "event: message\nid: " RUN ".0.0.31.227422\ndata: \n\n"
        "event: message\nid: " RUN
        ".1.1.31.227422\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\","
        "\"params\":{\"progressToken\":\"t\",\"progress\":1,\"message\":\"step.started: a \\\"b\\\"\"}}\n\n"
        "event: message\nid: " RUN
        ".3.2.31.227422\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\","
        "\"params\":{\"progressToken\":\"t\",\"progress\":2,\"message\":\"progress: half\"}}\n\n"
        "event: message\nid: " RUN
        ".3.3.31.227422\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\","
        "\"params\":{\"progressToken\":\"t\",\"progress\":3,\"message\":\"the run has not ended yet\"}}\n\n");
    cr_assert_eq(call.after, 4);
    talloc_free(out);
}

Test(tool_call, sends_no_progress_without_a_token)
{
    struct mcp_call call = {.execution = {RUN}, .rpc_id = "1"};
    char *out = talloc_strdup(NULL, "");
    append_run_event(&out, &call, 1, EVENT_STEP_STARTED, NULL);
    tool_call_append_beat(&out, &call);
    cr_assert_str_eq(out, "");
    cr_assert_eq(call.after, 1);
    tool_call_append_running(&out, &call);
    cr_assert(strstr(out, "id: " RUN ".1.0.31.\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\""));
    talloc_free(out);
}
