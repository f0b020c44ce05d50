#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "view/skill.h"
#include "json/json.h"

static const id one = {"01890000-0000-7000-8000-000000000001"};
static const id two = {"01890000-0000-7000-8000-000000000002"};

static json_object *render_skill_view(void *ctx, const struct skill_execution *x)
{
    struct json_write *w = json_write_new(ctx);
    json_object *o;
    const char *why;
    size_t size;
    view_skill_execution(w, x);
    const char *text = json_write_result(w, &size);
    cr_assert_eq(json_parse(ctx, text, size, JSON_DEPTH_MAX, &o, &why), OK, "%s", text);
    return o;
}

/* As the page prints it, in its order. */
static const char *const fields[] = {
    "id",
    "tenant_id",
    "space_id",
    "principal_id",
    "skill_slug",
    "skill_version",
    "source",
    "state",
    "parent_execution_id",
    "created_at",
    "started_at",
    "finished_at",
    "failure_reason",
    "resource_usage",
    "inputs",
    "outputs",
    "error",
    "artifacts",
    "sub_executions",
    "chat_thread_id",
    "chat_message_id",
    "chat_tool_call_id",
    "workspace_archive_id",
    "langfuse_trace_id",
    "idempotency_key",
};

Test(view_skill, has_every_documented_member)
{
    void *ctx = talloc_new(NULL);
    struct skill_execution x = {.id = one,
                                .tenant_id = one,
                                .workspace_id = one,
                                .principal_id = one,
                                .slug = "s",
                                .label = "1.0.0",
                                .source = SOURCE_STANDALONE,
                                .state = STATE_QUEUED};
    json_object *o = render_skill_view(ctx, &x);
    size_t i = 0;
    json_object_object_foreach(o, name, value)
    {
        (void)value;
        cr_assert_lt(i, sizeof fields / sizeof *fields);
        cr_expect_str_eq(name, fields[i]);
        i++;
    }
    cr_expect_eq(i, sizeof fields / sizeof *fields);
    json_object *usage = json_get(o, "resource_usage");
    cr_expect_str_eq(json_text(usage, NULL), "{\"input_tokens\":0,\"output_tokens\":0,\"cost_usd\":\"0\","
                                             "\"wallclock_ms\":null,\"iteration_count\":0}");
    cr_expect_null(json_get(o, "started_at"));
    cr_expect_null(json_get(o, "inputs"));
    cr_expect_eq(json_object_array_length(json_get(o, "artifacts")), 0U);
    talloc_free(ctx);
}

Test(view_skill, shows_present_values)
{
    void *ctx = talloc_new(NULL);
    struct artifact artifact = {
        .id = two, .relpath = "outputs/a b.svg", .media_type = "image/svg+xml", .blob.size = 7};
    struct skill_execution child = {.id = two,
                                    .slug = "c",
                                    .label = "2.0.0",
                                    .source = SOURCE_SKILL,
                                    .state = STATE_SUCCEEDED,
                                    .parent_id = one};
    struct skill_execution x = {
        .id = one,
        .slug = "s",
        .label = "1.0.0",
        .source = SOURCE_CHAT,
        .state = STATE_FAILED,
        .reason = REASON_MEMORY_LIMIT,
        .started_ms = 1000,
        .ended_ms = 2000,
        .error = "too much",
        .usage = {.input_tokens = 5,
                  .output_tokens = 6,
                  .cost = 125000000,
                  .has_wallclock = true,
                  .wallclock_ms = 9,
                  .iterations = 2,
                  .trace_id = "t"},
        .input = span_text("{\"n\": 1.50}"),
        .extra = "{\"idempotency_key\":\"k\"}",
        .thread_id = "th",
        .tool_call_id = "tc",
        .message_id = two,
        .children = &child,
        .children_n = 1,
        .artifacts = &artifact,
        .artifacts_n = 1,
    };
    struct json_write *w = json_write_new(ctx);
    size_t size;
    view_skill_execution(w, &x);
    cr_expect(strstr(json_write_result(w, &size), "\"inputs\":{\"n\": 1.50}"), "as it was sent");
    json_object *o = render_skill_view(ctx, &x);
    cr_expect_str_eq(json_get_text(o, "failure_reason"), "memory_limit");
    cr_expect_str_eq(json_get_text(o, "finished_at"), "1970-01-01T00:00:02.000Z");
    cr_expect_str_eq(json_get_text(o, "idempotency_key"), "k");
    cr_expect_str_eq(json_get_text(o, "chat_tool_call_id"), "tc");
    cr_expect_str_eq(json_get_text(json_get(o, "resource_usage"), "cost_usd"), "0.000125");
    json_object *sub = json_object_array_get_idx(json_get(o, "sub_executions"), 0);
    cr_expect_str_eq(json_get_text(sub, "parent_execution_id"), one.text);
    cr_expect(!json_object_object_get_ex(sub, "inputs", NULL), "children are shown without");
    json_object *a = json_object_array_get_idx(json_get(o, "artifacts"), 0);
    cr_expect_str_eq(json_get_text(a, "download_url"),
                     "/api/v1/executions/01890000-0000-7000-8000-000000000001/"
                     "artifacts/01890000-0000-7000-8000-000000000002");
    talloc_free(ctx);
}
