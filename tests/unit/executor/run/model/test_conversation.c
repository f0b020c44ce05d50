#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "executor/run/model/conversation.h"
#include "json/json.h"

/* In the texts ' stands for ". */
static char *quoted(void *ctx, const char *text)
{
    char *json = talloc_strdup(ctx, text);
    for (char *p = json; (p = strchr(p, '\''));)
        *p = '"';
    return json;
}

static json_object *parsed(void *ctx, const char *text)
{
    json_object *value;
    const char *why, *json = quoted(ctx, text);
    cr_assert_eq(json_parse(ctx, json, strlen(json), JSON_DEPTH_MAX, &value, &why), OK, "%s: %s", text, why);
    return value;
}

static struct manifest *manifest_with(void *ctx, const char *outputs)
{
    struct manifest *m;
    const char *text = quoted(
        ctx, talloc_asprintf(ctx,
                             "{'slug':'s','version':'1.0.0','name':'S','description':'','timeout_seconds':5,"
                             "'memory_mb':64,'inputs':{'type':'object'},'outputs':%s,"
                             "'runner':{'type':'model','system':'Be brief.','prompt':'Say ${/inputs/word}',"
                             "'max_tokens':50}}",
                             outputs));
    struct json_problems *p = json_problems_new(ctx);
    enum err e = manifest_compile(ctx, text, strlen(text), &m, p);
    cr_assert_eq(e, OK, "%s: %s", p->total ? p->list[0].pointer : "", p->total ? p->list[0].message : "");
    return m;
}

static const char one_text[] =
    "{'type':'object','required':['text'],'properties':{'text':{'type':'string'}}}";

static struct conversation *conversation_with(void *ctx, const char *outputs)
{
    struct conversation *c;
    const char *why = NULL;
    cr_assert_eq(conversation_new(ctx, manifest_with(ctx, outputs), parsed(ctx, "{'word':'hi'}"), &c, &why),
                 OK, "%s", why);
    return c;
}

static const char *message_text(json_object *request, size_t i, const char *member)
{
    return json_get_text(json_object_array_get_idx(json_get(request, "messages"), i), member);
}

Test(conversation, a_request_holds_the_messages_so_far)
{
    void *ctx = talloc_new(NULL);
    struct conversation *c = conversation_with(ctx, one_text);
    struct manifest tool = {.slug = "add", .description = "adds", .inputs_document = parsed(ctx, "{}")};
    const struct manifest *tools[] = {&tool};
    conversation_add_answer(c, parsed(ctx, "{'role':'assistant','content':null}"));
    conversation_add_tool_result(c, json_object_new_string("call-1"), "error: unknown tool");
    json_object *request = json_own(ctx, conversation_request(c, "model-x", tools, 1));
    cr_expect_str_eq(json_get_text(request, "model"), "model-x");
    cr_expect_eq(json_object_get_int64(json_get(request, "max_tokens")), 50);
    cr_expect_null(json_get(request, "temperature"));
    cr_expect_eq(json_object_array_length(json_get(request, "messages")), 4);
    cr_expect(strncmp(message_text(request, 0, "content"), "Be brief.\n\nAnswer with one JSON object", 30) ==
              0);
    cr_expect_str_eq(message_text(request, 1, "role"), "user");
    cr_expect_str_eq(message_text(request, 1, "content"), "Say hi");
    cr_expect_str_eq(message_text(request, 2, "role"), "assistant");
    cr_expect_str_eq(message_text(request, 3, "tool_call_id"), "call-1");
    cr_expect_str_eq(message_text(request, 3, "content"), "error: unknown tool");
    json_object *function = json_get(json_object_array_get_idx(json_get(request, "tools"), 0), "function");
    cr_expect_str_eq(json_get_text(function, "name"), "add");
    talloc_free(ctx);
}

Test(conversation, without_tools_a_request_does_not_mention_them)
{
    void *ctx = talloc_new(NULL);
    struct conversation *c = conversation_with(ctx, one_text);
    json_object *request = json_own(ctx, conversation_request(c, "model-x", NULL, 0));
    cr_expect_null(json_get(request, "tools"));
    talloc_free(ctx);
}

Test(conversation, a_prompt_that_cannot_be_rendered_is_an_error)
{
    void *ctx = talloc_new(NULL);
    struct conversation *c;
    const char *why = NULL;
    cr_expect_neq(conversation_new(ctx, manifest_with(ctx, one_text), parsed(ctx, "{}"), &c, &why), OK);
    cr_expect_not_null(strstr(why, "/inputs/word"), "%s", why);
    talloc_free(ctx);
}

/* A string that JSON gives as \u0000 in the inputs and in the manifest. */
Test(conversation, a_nul_cuts_neither_prompt_nor_system_text)
{
    void *ctx = talloc_new(NULL);
    struct conversation *c;
    const char *why = NULL;
    struct manifest *m = manifest_with(ctx, one_text);
    json_object *nul = json_own(ctx, json_object_new_string_len("Be\0brief.", 9));
    m->system = template_compile(ctx, nul, TEMPLATE_TEXT, "", NULL, json_problems_new(ctx));
    cr_assert_eq(conversation_new(ctx, m, parsed(ctx, "{'word':'a\\u0000b'}"), &c, &why), OK, "%s", why);
    json_object *request = json_own(ctx, conversation_request(c, "m", NULL, 0));
    json_object *messages = json_get(request, "messages");
    json_object *system = json_get(json_object_array_get_idx(messages, 0), "content");
    json_object *user = json_get(json_object_array_get_idx(messages, 1), "content");
    cr_expect_eq(json_object_get_string_len(user), 7, "Say a, NUL, b");
    cr_expect_not_null(strstr(json_object_get_string(system) + 3, "brief.\n\nAnswer with one JSON object"));
    cr_expect_not_null(strstr(json_object_get_string(system) + 3, "\"required\""));
    talloc_free(ctx);
}

Test(conversation, an_answer_survives_its_row)
{
    void *ctx = talloc_new(NULL);
    struct chat_completion before = {
        .message = parsed(ctx, "{'role':'assistant','content':'a','tool_calls':[{'id':'1'}]}"),
        .input_tokens = 5,
        .output_tokens = 6};
    struct chat_completion after;
    cr_assert(chat_completion_from_row(ctx, chat_completion_to_row(ctx, &before), &after));
    cr_expect_str_eq(after.content, "a");
    cr_expect_eq(json_object_array_length(after.calls), 1);
    cr_expect(after.input_tokens == 5 && after.output_tokens == 6);
    cr_expect_str_eq(json_text(after.message, NULL), json_text(before.message, NULL));
    cr_expect_not(chat_completion_from_row(ctx, "{", &after));
    before.message = NULL;
    cr_expect_not(chat_completion_from_row(ctx, chat_completion_to_row(ctx, &before), &after),
                  "no answer yet");
    cr_expect(after.input_tokens == 5 && after.output_tokens == 6);
    talloc_free(ctx);
}
