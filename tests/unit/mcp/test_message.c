#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "base/version.h"
#include "mcp/message.h"

#define RUN "0190a5d4-7c3a-7000-8000-000000000001"

static const char *response(void *ctx, struct execution exec)
{
    size_t size;
    exec.id = (id){RUN};
    exec.cost = 2500000;
    return mcp_outcome_response(ctx, "\"x\"", &exec, &size);
}

Test(mcp_message, tells_the_outcome_of_a_run)
{
    void *ctx = talloc_new(NULL);
    cr_assert_str_eq(
        response(ctx, (struct execution){.state = STATE_SUCCEEDED, .output = "{\"a\":[1,\"b\"]}"}),
        "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"result\":{\"content\":[{\"type\":\"text\",\"text\":"
        "\"{\\\"a\\\":[1,\\\"b\\\"]}\"}],\"structuredContent\":{\"execution_id\":\"" RUN
        "\",\"status\":\"success\",\"credits_used\":2.5,\"output\":{\"a\":[1,\"b\"]}},\"isError\":false,"
        "\"resultType\":\"complete\",\"_meta\":{\"io.modelcontextprotocol/serverInfo\":"
        "{\"name\":\"millrace\",\"title\":\"Millrace\",\"version\":\"" MILLRACE_VERSION "\"}}}}");
    cr_assert(strstr(response(ctx, (struct execution){.state = STATE_SUCCEEDED, .output = "\"a \\u00e9\""}),
                     "\"text\":\"a \\u00e9\"}"));
    cr_assert(strstr(response(ctx, (struct execution){.state = STATE_SUCCEEDED}), "\"output\":null}"));
    const char *failed = response(
        ctx, (struct execution){.state = STATE_FAILED, .reason = REASON_STEP_FAILED, .error = "no \"luck\""});
    cr_assert(strstr(failed, "\"text\":\"step_failed: no \\\"luck\\\" (execution " RUN ")\""));
    cr_assert(strstr(
        failed, "\"error\":{\"code\":\"step_failed\",\"message\":\"no \\\"luck\\\"\"}},\"isError\":true"));
    const char *running = response(ctx, (struct execution){.state = STATE_QUEUED});
    cr_assert(strstr(running, "\"structuredContent\":{\"execution_id\":\"" RUN
                              "\",\"status\":\"running\"},\"isError\":false"));
    cr_assert(strstr(running, "get_execution"));
    talloc_free(ctx);
}

Test(mcp_message, repeats_no_large_output_as_text)
{
    void *ctx = talloc_new(NULL);
    char *output = talloc_zero_array(ctx, char, 100003);
    memset(output, 'x', 100002);
    output[0] = output[100001] = '"';
    const char *text = response(ctx, (struct execution){.state = STATE_SUCCEEDED, .output = output});
    cr_assert_lt(strlen(text), 101000);
    cr_assert(strstr(text, "structuredContent, or from execution"));
    talloc_free(ctx);
}

static const char *schema_of(void *ctx, const char *output)
{
    struct json_write *w = json_write_new(ctx);
    mcp_write_output_schema(w, output, output ? strlen(output) : 0, &(id){RUN}, 3);
    return json_write_result(w, NULL);
}

Test(mcp_message, keeps_references_of_the_outputs_schema)
{
    void *ctx = talloc_new(NULL);
    cr_assert(strstr(schema_of(ctx, "{\"type\":\"string\"}"), "\"output\":{\"type\":\"string\"}}}"));
    cr_assert(strstr(schema_of(ctx, "{\"$ref\":\"#/$defs/a\"}"),
                     "\"output\":{\"$id\":\"urn:millrace:" RUN ":3\",\"$ref\":\"#/$defs/a\"}}}"));
    cr_assert(strstr(schema_of(ctx, "{\"$id\":\"urn:x\",\"$ref\":\"#/a\"}"),
                     "\"output\":{\"$id\":\"urn:x\",\"$ref\":\"#/a\"}}}"));
    cr_assert(strstr(schema_of(ctx, "true"), "\"output\":true}}"));
    cr_assert(strstr(schema_of(ctx, NULL), "\"output\":{}}}"));
    talloc_free(ctx);
}
