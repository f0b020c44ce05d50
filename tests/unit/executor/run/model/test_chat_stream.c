#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "executor/run/model/chat_calls.h"
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
    struct chat_stream *s = chat_stream_new(ctx, 0);
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
        cr_assert(answer.input_tokens == 7 && answer.output_tokens == 3);
        cr_assert_str_eq(json_get_text(answer.message, "role"), "assistant");
        cr_assert_str_eq(json_get_text(answer.message, "content"), "Hello \xc3\xbc");
        cr_assert_null(json_get(answer.message, "tool_calls"));
        talloc_free(ctx);
    }
}

/* A completion of the text; fails the test if there is none. */
static struct chat_completion completion(void *ctx, const char *text)
{
    struct chat_completion answer;
    const char *why = NULL;
    cr_assert_eq(parse_response(ctx, text, 7, &answer, &why), OK, "%s: %s", text, why);
    return answer;
}

Test(chat_stream, a_server_that_does_not_stream_answers_with_one_object)
{
    void *ctx = talloc_new(NULL);
    struct chat_completion answer =
        completion(ctx, "\xef\xbb\xbf{'choices':[{'message':{'role':'assistant','content':'42'},\n"
                        "'finish_reason':'stop'}],\n'usage':{'prompt_tokens':1}}");
    cr_expect_str_eq(answer.content, "42");
    cr_expect(answer.input_tokens == 1 && answer.output_tokens == 0);
    talloc_free(ctx);
}

#define STOP "data: {'choices':[{'delta':{},'finish_reason':'stop'}]}\n\n"

Test(chat_stream, content_is_the_same_in_every_form)
{
    static const char *const texts[] = {
        /* content parts; reasoning is no content */
        "data: {'choices':[{'delta':{'content':[{'type':'thinking','thinking':[{'type':'text','text':'no'}]},"
        "{'type':'text','text':'a\xc3\xa9'}]}}]}\n\n" STOP,
        "data: {'choices':[{'delta':{'reasoning_content':'no','content':null}}]}\n\n"
        "data: {'choices':[{'delta':{'content':'a\xc3\xa9'}}]}\n\n" STOP,
        /* a byte order mark, CR, a trailing space, and anything after [DONE] */
        "\xef\xbb\xbf"
        "data: {'choices':[{'delta':{'content':'a\xc3\xa9'},'finish_reason':'stop'}]}\r\rdata: [DONE] "
        "\r\rdata: {\r\r",
        /* several data lines, comments, other fields */
        ": OPENROUTER PROCESSING\n\nid: 1\nevent: message\ndata: {'choices':\ndata: [{'delta':\ndata: "
        "{'content':'a\xc3\xa9'}}]}\n\n" STOP,
        /* Azure: no choices, and a choice without a delta */
        "data: {'choices':[],'prompt_filter_results':[]}\n\ndata: "
        "{'choices':[{'index':0,'delta':{'content':'a\xc3\xa9'}}]}\n\n"
        "data: {'choices':[{'index':0,'finish_reason':null,'content_filter_results':{}}]}\n\n" STOP,
        /* a number that does not fit, NaN, and an answer that nobody asked for */
        "data: {'created':99999999999999999999999,'logprob':NaN,'choices':[{'delta':{'content':'a\xc3\xa9'}},"
        "{'index':1,'delta':{'content':'b'},'finish_reason':'length'}]}\n\n" STOP,
        /* the bytes of a character in two deltas */
        "data: {'choices':[{'delta':{'content':'a\xc3'}}]}\n\ndata: "
        "{'choices':[{'delta':{'content':'\xa9'}}]}\n\n" STOP,
        /* a whole message after the deltas repeats them */
        "data: {'choices':[{'delta':{'content':'a\xc3\xa9'}}]}\n\n"
        "data: {'choices':[{'message':{'content':'a\xc3\xa9'},'finish_reason':'stop'}]}\n\n",
        /* lines of JSON */
        "{'choices':[{'delta':{'content':'a'}}]}\n{'choices':[{'delta':{'content':'\xc3\xa9'},'finish_reason'"
        ":'STOP'}]}\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        void *ctx = talloc_new(NULL);
        struct chat_completion answer = completion(ctx, texts[i]);
        cr_expect_str_eq(answer.content, "a\xc3\xa9", "%s", texts[i]);
        talloc_free(ctx);
    }
}

Test(chat_stream, halves_of_a_surrogate_pair_in_two_deltas_are_one_character)
{
    void *ctx = talloc_new(NULL);
    struct chat_completion answer = completion(
        ctx, "data: {'choices':[{'delta':{'content':'\\ud83d'}}]}\n\n"
             "data: {'choices':[{'delta':{'content':'\\ude00 \\ud83d\\ude00 \\ud83d.'}}]}\n\n" STOP);
    cr_expect_str_eq(answer.content, "\xf0\x9f\x98\x80 \xf0\x9f\x98\x80 \xef\xbf\xbd.");
    talloc_free(ctx);
}

Test(chat_stream, a_nul_in_the_content_is_kept)
{
    void *ctx = talloc_new(NULL);
    struct chat_completion answer =
        completion(ctx, "data: {'choices':[{'delta':{'content':'a\\u0000b'}}]}\n\n" STOP);
    cr_expect_eq(answer.content_size, 3);
    cr_expect_eq(json_object_get_string_len(json_get(answer.message, "content")), 3);
    talloc_free(ctx);
}

/* The calls of an answer as "id name arguments;". */
static char *calls_text(void *ctx, const char *deltas)
{
    struct chat_completion answer = completion(
        ctx,
        talloc_asprintf(ctx, "%sdata: {'choices':[{'delta':{},'finish_reason':'tool_calls'}]}\n\n", deltas));
    char *text = talloc_strdup(ctx, "");
    for (size_t i = 0; i < json_object_array_length(answer.calls); i++) {
        json_object *call = json_object_array_get_idx(answer.calls, i),
                    *function = json_get(call, "function");
        text = talloc_asprintf_append(text, "%s %s %s;", json_get_text(call, "id"),
                                      json_get_text(function, "name"), json_get_text(function, "arguments"));
    }
    return text;
}

#define CALLS(list) "data: {'choices':[{'delta':{'tool_calls':[" list "]}}]}\n\n"
#define CALL(head, name, arguments) "{" head "'function':{" name "'arguments':'" arguments "'}}"

Test(chat_stream, tool_calls_are_told_apart)
{
    static const struct {
        const char *deltas, *calls;
    } cases[] = {
        /* by index, in any order */
        {CALLS(CALL("'index':1,'id':'b',", "'name':'sub',", ""))
             CALLS(CALL("'index':0,'id':'a',", "'name':'add',", "{\\'x\\'"))
                 CALLS(CALL("'index':0,", "", ":1}")) CALLS(CALL("'index':1,", "", "{}")),
         "b sub {};a add {\"x\":1};"},
        /* every index is 0 */
        {CALLS(CALL("'index':0,'id':'a',", "'name':'add',", "{\\'x\\':1}")) CALLS(
             CALL("'index':0,'id':'b',", "'name':'add',", "{\\'x\\'")) CALLS(CALL("'index':0,", "", ":2}")),
         "a add {\"x\":1};b add {\"x\":2};"},
        {CALLS(CALL("'index':0,'id':'a',", "'name':'add',", "{}") "," CALL("'index':0,'id':'b',",
                                                                           "'name':'sub',", "{}")),
         "a add {};b sub {};"},
        /* no index */
        {CALLS(CALL("'id':'a',", "'name':'add',", "{\\'x\\'")) CALLS(CALL("", "", ":1}"))
             CALLS(CALL("'id':'b',", "'name':'sub',", "{}")),
         "a add {\"x\":1};b sub {};"},
        /* the index comes later */
        {CALLS(CALL("'id':'a',", "'name':'add',", "{\\'x\\'")) CALLS(CALL("'index':0,", "", ":1}")),
         "a add {\"x\":1};"},
        /* no id, the same name */
        {CALLS(CALL("'index':0,", "'name':'add',", "{\\'x\\':1}"))
             CALLS(CALL("'index':0,", "'name':'add',", "{\\'x\\':2}")),
         "call00000 add {\"x\":1};call00001 add {\"x\":2};"},
        {CALLS(CALL("", "'name':'ping',", "") "," CALL("", "'name':'ping',", "")),
         "call00000 ping ;call00001 ping ;"},
        {CALLS(CALL("'id':'',", "'name':'add',", "{}")) CALLS(CALL("'id':null,", "'name':'sub',", "{}")),
         "call00000 add {};call00001 sub {};"},
        /* the same id for all */
        {CALLS(CALL("'id':'x',", "'name':'add',", "{}") "," CALL("'id':'x',", "'name':'sub',", "{}")),
         "x add {};call00000 sub {};"},
        /* the id and the name with each piece */
        {CALLS(CALL("'index':0,'id':'a',", "'name':'add',", "{\\'x\\'"))
             CALLS(CALL("'index':0,'id':'a',", "'name':'add',", ":1}")),
         "a add {\"x\":1};"},
        /* another id with each piece */
        {CALLS(CALL("'index':0,'id':'a',", "'name':'add',", ""))
             CALLS(CALL("'index':0,'id':'b',", "", "{\\'x\\'")) CALLS(CALL("'index':0,'id':'c',", "", ":1}")),
         "a add {\"x\":1};"},
        /* the whole call again */
        {CALLS(CALL("'index':0,'id':'a',", "'name':'add',", "{}"))
             CALLS(CALL("'index':0,'id':'a',", "'name':'add',", "{}")),
         "a add {};"},
        /* empty items */
        {CALLS(
             "{'index':0}," CALL("'index':1,'id':'a',", "'name':'add',", "{}") ",null,{'index':2,'id':'c'}"),
         "a add {};"},
        /* arguments as an object, and the older form */
        {CALLS("{'id':'a','function':{'name':'add','arguments':{'x':1}}}"), "a add {\"x\":1};"},
        {"data: {'choices':[{'delta':{'function_call':{'name':'add','arguments':'{'}}}]}\n\n"
         "data: {'choices':[{'delta':{'function_call':{'arguments':'}'}}}]}\n\n",
         "call00000 add {};"},
        /* a whole message */
        {"data: {'choices':[{'message':{'tool_calls':[" CALL("'index':0,", "'name':'add',", "{}") "," CALL(
             "'index':0,", "'name':'add',", "{}") "]}}]}\n\n",
         "call00000 add {};call00001 add {};"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        void *ctx = talloc_new(NULL);
        cr_expect_str_eq(calls_text(ctx, cases[i].deltas), cases[i].calls, "case %zu", i);
        talloc_free(ctx);
    }
}

Test(chat_stream, says_why_a_response_is_no_answer)
{
    static const struct {
        const char *text;
        enum err e;
        const char *why;
    } cases[] = {
        {"", ERR_RETRY, "the response ended early"},
        {": ping\n\n", ERR_RETRY, "the response ended early"},
        {"data: {'choices':[{'delta':{'content':'a'}}]}\n", ERR_RETRY, "the response ended early"},
        {"data: {'choices':[{'delta'\n", ERR_RETRY, "the response could not be parsed"},
        {"data: {'choices':[{'delta'\n\n" STOP, ERR_RETRY, "the response could not be parsed"},
        {"<html>", ERR_RETRY, "the response could not be parsed"},
        {"data: {'choices':[{'delta':{'content':'a'}}]}\n\ndata: [DONE]\n\n", ERR_INVALID,
         "the response ended without a finish_reason"},
        {"data: {'error':{'message':'overloaded'}}\n", ERR_RETRY, "overloaded"},
        {"data: {'error':{'message':'overloaded','code':502}}\n\n" STOP, ERR_RETRY, "overloaded"},
        {"event: error\ndata: {'message':'too long','status':400}\n\n", ERR_INVALID, "too long"},
        {"data: {'object':'error','message':'out of memory'}\n\ndata: [DONE]\n\n", ERR_RETRY,
         "out of memory"},
        {"[{'error':{'code':400,'message':'bad'}}]", ERR_INVALID, "bad"},
        {"{'detail':'not ready'}", ERR_RETRY, "not ready"},
        {"{'error':'no credit'}", ERR_RETRY, "no credit"},
        {"{'error':{}}", ERR_RETRY, "an error without a message"},
        {"data: {'choices':[{'delta':{'content':'a'},'finish_reason':'length'}]}\n\n", ERR_INVALID,
         "the answer was cut at max_tokens"},
        {CALLS(CALL("'id':'a',", "'name':'f',",
                    "{\\'city")) "data: {'choices':[{'delta':{},'finish_reason':'length'}]}\n\n",
         ERR_INVALID, "the answer was cut at max_tokens"},
        {"data: {'choices':[{'delta':{'content':'a'},'finish_reason':'content_filter'}]}\n\n", ERR_INVALID,
         "the answer ended with finish_reason \"content_filter\""},
        {STOP "data: {'choices':[{'delta':{},'finish_reason':'content_filter'}]}\n\n", ERR_INVALID,
         "the answer ended with finish_reason \"content_filter\""},
        {"data: {'choices':[{'delta':{'content':'a'},'finish_reason':'error'}]}\n\ndata: [DONE]\n\n",
         ERR_INVALID, "the answer ended with finish_reason \"error\""},
        {"data: {'choices':[{'delta':{'refusal':'I can'}}]}\n\ndata: "
         "{'choices':[{'delta':{'refusal':'not'}}]}\n\n" STOP,
         ERR_INVALID, "the model refused: I cannot"},
        {"{'choices':[{'message':{'content':[{'type':'refusal','refusal':'no'}]},'finish_reason':'stop'}]}",
         ERR_INVALID, "the model refused: no"},
        {CALLS("{'id':'a','function':{'arguments':'{}'}}") STOP, ERR_INVALID, "a tool call has no name"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        void *ctx = talloc_new(NULL);
        struct chat_completion answer;
        const char *why = NULL;
        cr_expect_eq(parse_response(ctx, cases[i].text, 5, &answer, &why), cases[i].e, "%s", cases[i].text);
        cr_expect_str_eq(why, cases[i].why, "%s", cases[i].text);
        talloc_free(ctx);
    }
}

Test(chat_stream, at_most_64_tool_calls)
{
    void *ctx = talloc_new(NULL);
    char *text = talloc_strdup(ctx, "");
    struct chat_completion answer;
    const char *why = NULL;
    for (int i = 0; i <= CHAT_TOOL_CALLS_MAX; i++)
        text = talloc_asprintf_append(text, CALLS(CALL("'index':%d,", "'name':'f',", "{}")), i);
    cr_expect_eq(parse_response(ctx, talloc_asprintf(ctx, "%s" STOP, text), 100, &answer, &why), ERR_INVALID);
    cr_expect_str_eq(why, "the answer has more than 64 tool calls");
    talloc_free(ctx);
}

Test(chat_stream, the_largest_usage_counts)
{
    static const char *const texts[] = {
        "data: {'usage':{'prompt_tokens':7,'completion_tokens':3}}\n\ndata: "
        "{'usage':{'prompt_tokens':0,'completion_tokens':0}}\n\n",
        "data: {'usage':{'input_tokens':7,'output_tokens':1}}\n\ndata: {'usage':{'output_tokens':3}}\n\n",
        "data: {'x_groq':{'usage':{'prompt_tokens':7,'completion_tokens':3}}}\n\n",
        "data: {'choices':[{'delta':{},'usage':{'prompt_tokens':7,'completion_tokens':3}}],'usage':null}\n\n",
        "data: {'timings':{'prompt_n':7,'predicted_n':3}}\n\n",
        "data: {'usage':{'prompt_tokens':7.0,'completion_tokens':3}}\n\ndata: "
        "{'usage':{'prompt_tokens':-1,'completion_tokens':1e30}}\n\ndata: {",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        void *ctx = talloc_new(NULL);
        struct chat_completion answer;
        const char *why;
        struct chat_stream *s = chat_stream_new(ctx, 0);
        const char *bytes = quoted(ctx, texts[i]);
        int64_t input, output;
        cr_assert(chat_stream_feed(s, bytes, strlen(bytes)));
        cr_expect_eq(chat_stream_finish(s, &answer, &why), ERR_RETRY, "an unusable answer is paid, too");
        chat_stream_usage(s, &input, &output);
        cr_expect(input == 7 && output == 3, "%s: %d %d", texts[i], (int)input, (int)output);
        talloc_free(ctx);
    }
}

Test(chat_stream, a_last_line_without_an_end_counts)
{
    void *ctx = talloc_new(NULL);
    struct chat_completion answer;
    const char *why = NULL;
    enum err e = parse_response(
        ctx, "data: {'choices':[{'delta':{'content':'a'}}]}\n\ndata: {'choices':[{'finish_reason':'stop'}]}",
        1000, &answer, &why);
    cr_assert_eq(e, OK, "%s", why);
    cr_expect_str_eq(answer.content, "a");
    talloc_free(ctx);
}

Test(chat_stream, new_content_is_returned_once)
{
    void *ctx = talloc_new(NULL);
    struct chat_stream *s = chat_stream_new(ctx, 0);
    const char *first =
        quoted(ctx, "data: {'choices':[{'delta':{'content':'one \\ud83d'}}]}\n\ndata: {'choi");
    const char *rest = quoted(ctx, "ces':[{'delta':{'content':'\\ude00two'}}]}\n\n");
    cr_expect_str_eq(chat_stream_new_content(s), "");
    cr_assert(chat_stream_feed(s, first, strlen(first)));
    cr_expect_str_eq(chat_stream_new_content(s), "one ");
    cr_expect_str_eq(chat_stream_new_content(s), "");
    cr_assert(chat_stream_feed(s, rest, strlen(rest)));
    cr_expect_str_eq(chat_stream_new_content(s), "\xf0\x9f\x98\x80two");
    talloc_free(ctx);
}

Test(chat_stream, a_response_is_limited_in_size)
{
    void *ctx = talloc_new(NULL);
    struct chat_stream *s = chat_stream_new(ctx, 0);
    size_t size = 1024 * 1024;
    char *bytes = talloc_zero_size(ctx, size);
    memset(bytes, '\n', size);
    for (size_t fed = 0; fed < CHAT_ANSWER_MAX; fed += size)
        cr_assert(chat_stream_feed(s, bytes, size));
    cr_expect_not(chat_stream_feed(s, "\n", 1));
    talloc_free(ctx);
}
