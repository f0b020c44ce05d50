#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "executor/run/model/chat_stream.h"
#include "json/json.h"

/* In the texts ' stands for ". */
static char *quoted(void *ctx, const char *text)
{
    char *json = talloc_strdup(ctx, text);
    for (char *p = json; (p = strchr(p, '\''));)
        *p = '"';
    return json;
}

/* Feeds the response in pieces of `piece` bytes. */
static enum err parse_response(void *ctx, const char *text, size_t piece, struct chat_completion *answer_r,
                               const char **why_r)
{
    struct chat_stream *s = chat_stream_new(ctx);
    const char *bytes = quoted(ctx, text);
    size_t size = strlen(bytes);
    for (size_t at = 0; at < size; at += piece)
        cr_assert(chat_stream_feed(s, bytes + at, size - at < piece ? size - at : piece));
    return chat_stream_finish(s, answer_r, why_r);
}

static const char streamed[] = ": a comment\r\n"
                               "event: message\r\n"
                               "data: {'choices':[{'delta':{'role':'assistant','content':'Hel'}}]}\r\n\r\n"
                               "data:{'choices':[{'delta':{'content':'lo \\u00fc'}}]}\n\n"
                               "data: {'choices':[{'delta':{},'finish_reason':'stop'}]}\n\n"
                               "data: {'choices':[],'usage':{'prompt_tokens':7,'completion_tokens':3}}\n\n"
                               "data: [DONE]\n\n";

Test(chat_stream, a_streamed_answer_is_the_same_however_it_is_cut)
{
    for (size_t piece = 1; piece < sizeof streamed; piece++) {
        void *ctx = talloc_new(NULL);
        struct chat_completion answer;
        const char *why = NULL;
        cr_assert_eq(parse_response(ctx, streamed, piece, &answer, &why), OK, "%zu: %s", piece, why);
        cr_assert_str_eq(answer.content, "Hello \xc3\xbc");
        cr_assert_eq(json_object_array_length(answer.calls), 0);
        cr_assert_not(answer.was_cut);
        cr_assert(answer.input_tokens == 7 && answer.output_tokens == 3);
        cr_assert_str_eq(json_get_text(answer.message, "role"), "assistant");
        cr_assert_str_eq(json_get_text(answer.message, "content"), "Hello \xc3\xbc");
        cr_assert_null(json_get(answer.message, "tool_calls"));
        talloc_free(ctx);
    }
}

Test(chat_stream, a_server_that_does_not_stream_answers_with_one_object)
{
    void *ctx = talloc_new(NULL);
    struct chat_completion answer;
    const char *why = NULL;
    enum err e = parse_response(ctx,
                                "{'choices':[{'message':{'role':'assistant','content':'42'},\n"
                                "'finish_reason':'length'}],\n'usage':{'prompt_tokens':1}}",
                                10, &answer, &why);
    cr_assert_eq(e, OK, "%s", why);
    cr_expect_str_eq(answer.content, "42");
    cr_expect(answer.was_cut);
    cr_expect(answer.input_tokens == 1 && answer.output_tokens == 0);
    talloc_free(ctx);
}

Test(chat_stream, tool_calls_are_joined_by_their_index)
{
    void *ctx = talloc_new(NULL);
    struct chat_completion answer;
    const char *why = NULL;
    enum err e = parse_response(
        ctx,
        "data: {'choices':[{'delta':{'tool_calls':[{'index':1,'id':'b','function':{'name':'sub'}}]}}]}\n"
        "data: {'choices':[{'delta':{'tool_calls':[{'index':0,'id':'a','function':{'name':'add',"
        "'arguments':'{\\'x\\''}}]}}]}\n"
        "data: {'choices':[{'delta':{'tool_calls':[{'index':0,'id':'other','function':{'name':'other',"
        "'arguments':':1}'}}]}}]}\n"
        "data: {'choices':[{'delta':{},'finish_reason':'tool_calls'}]}\n",
        7, &answer, &why);
    cr_assert_eq(e, OK, "%s", why);
    cr_assert_eq(json_object_array_length(answer.calls), 2);
    json_object *first = json_object_array_get_idx(answer.calls, 0);
    json_object *second = json_object_array_get_idx(answer.calls, 1);
    cr_expect_str_eq(json_get_text(first, "id"), "a", "the first id counts");
    cr_expect_str_eq(json_get_text(json_get(first, "function"), "name"), "add");
    cr_expect_str_eq(json_get_text(json_get(first, "function"), "arguments"), "{\"x\":1}");
    cr_expect_str_eq(json_get_text(json_get(second, "function"), "arguments"), "");
    cr_expect_null(json_get(answer.message, "content"), "null beside tool calls");
    cr_expect_eq(json_object_array_length(json_get(answer.message, "tool_calls")), 2);
    talloc_free(ctx);
}

Test(chat_stream, says_why_a_response_is_no_answer)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "the response ended early"},
        {"data: {'choices':[{'delta':{'content':'a'}}]}\n", "the response ended early"},
        {"data: {'choices':[{'delta'\n", "the response could not be parsed"},
        {"<html>", "the response could not be parsed"},
        {"data: {'error':{'message':'overloaded'}}\n", "overloaded"},
        {"{'error':'no credit'}", "no credit"},
        {"{'error':{}}", "an error without a message"},
        {"data: {'choices':[{'delta':{'tool_calls':[{'index':64,'id':'a'}]},'finish_reason':'stop'}]}\n",
         "the response could not be parsed"},
        {"data: {'choices':[{'delta':{'tool_calls':[{'index':-1,'id':'a'}]},'finish_reason':'stop'}]}\n",
         "the response could not be parsed"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        void *ctx = talloc_new(NULL);
        struct chat_completion answer;
        const char *why = NULL;
        cr_expect_eq(parse_response(ctx, cases[i].text, 5, &answer, &why), ERR_INVALID, "%s", cases[i].text);
        cr_expect_str_eq(why, cases[i].why, "%s", cases[i].text);
        talloc_free(ctx);
    }
}

Test(chat_stream, a_last_line_without_an_end_counts)
{
    void *ctx = talloc_new(NULL);
    struct chat_completion answer;
    const char *why = NULL;
    enum err e = parse_response(
        ctx, "data: {'choices':[{'delta':{'content':'a'}}]}\ndata: {'choices':[{'finish_reason':'stop'}]}",
        1000, &answer, &why);
    cr_assert_eq(e, OK, "%s", why);
    cr_expect_str_eq(answer.content, "a");
    talloc_free(ctx);
}

Test(chat_stream, new_content_is_returned_once)
{
    void *ctx = talloc_new(NULL);
    struct chat_stream *s = chat_stream_new(ctx);
    const char *first = quoted(ctx, "data: {'choices':[{'delta':{'content':'one '}}]}\ndata: {'choi");
    const char *rest = quoted(ctx, "ces':[{'delta':{'content':'two'}}]}\n");
    cr_expect_str_eq(chat_stream_new_content(s), "");
    cr_assert(chat_stream_feed(s, first, strlen(first)));
    cr_expect_str_eq(chat_stream_new_content(s), "one ");
    cr_expect_str_eq(chat_stream_new_content(s), "");
    cr_assert(chat_stream_feed(s, rest, strlen(rest)));
    cr_expect_str_eq(chat_stream_new_content(s), "two");
    talloc_free(ctx);
}

Test(chat_stream, a_response_is_limited_in_size)
{
    void *ctx = talloc_new(NULL);
    struct chat_stream *s = chat_stream_new(ctx);
    size_t size = 1024 * 1024;
    char *bytes = talloc_zero_size(ctx, size);
    memset(bytes, '\n', size);
    for (size_t fed = 0; fed < CHAT_ANSWER_MAX; fed += size)
        cr_assert(chat_stream_feed(s, bytes, size));
    cr_expect_not(chat_stream_feed(s, "\n", 1));
    talloc_free(ctx);
}
