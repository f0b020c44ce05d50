/* Fuzzes what a model's API answers, from the bytes of the response to the outputs of the run.
 *
 * The first byte of the input selects the form. Odd: the rest is the response itself. Even: the rest is a
 * recipe from which an odd but plausible stream is made (below), whose content, tokens and end are known.
 * Checked:
 *
 * - The result is the same in whatever pieces the response arrives, and so are the texts of the log.
 * - A stream that did not end with a whole answer is never a completion, and one that did has all its
 * content.
 * - The tokens are the largest that the stream has reported, also if there is no completion.
 * - Each tool call has a name and an id of its own; content, arguments and outputs are UTF-8.
 * - The outputs match the schema. An error has a sentence. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text_buffer.h"
#include "base/utf8.h"
#include "executor/run/model/answer_outputs.h"
#include "executor/run/model/chat_calls.h"
#include "executor/run/model/chat_stream.h"
#include "json/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool held)
{
    if (!held)
        abort();
}

/* --- a reading of a response --- */

struct reading {
    enum err e;
    const char *why;
    struct chat_completion answer;
    int64_t input_tokens, output_tokens;
    /* the texts of chat_stream_new_content, joined */
    struct text_buffer logged;
};

static void note_logged(void *ctx, struct reading *r, struct chat_stream *s)
{
    const char *logged = chat_stream_new_content(s);
    text_buffer_append(ctx, &r->logged, logged, strlen(logged));
}

static struct reading read_response(void *ctx, const char *text, size_t size, unsigned int seed)
{
    struct reading r = {.why = NULL};
    struct chat_stream *s = chat_stream_new(ctx, (int)(seed % 150));
    unsigned int state = seed;
    bool fits = true;
    for (size_t at = 0, n; at < size && fits; at += n) {
        state = state * 1103515245 + 12345;
        n = seed ? 1 + (state >> 16) % seed : size;
        n = n < size - at ? n : size - at;
        fits = chat_stream_feed(s, text + at, n);
        note_logged(ctx, &r, s);
    }
    r.e = chat_stream_finish(s, &r.answer, &r.why);
    note_logged(ctx, &r, s);
    chat_stream_usage(s, &r.input_tokens, &r.output_tokens);
    return r;
}

static void check_text(json_object *value)
{
    need(json_object_is_type(value, json_type_string));
    need(utf8_is_valid(json_object_get_string(value), (size_t)json_object_get_string_len(value)));
}

static void check_calls(json_object *calls)
{
    size_t n = json_object_array_length(calls);
    need(n <= CHAT_TOOL_CALLS_MAX);
    for (size_t i = 0; i < n; i++) {
        json_object *call = json_object_array_get_idx(calls, i), *function = json_get(call, "function");
        json_object *id = json_get(call, "id");
        check_text(id);
        check_text(json_get(function, "name"));
        check_text(json_get(function, "arguments"));
        need(json_object_get_string_len(id) > 0 &&
             json_object_get_string_len(json_get(function, "name")) > 0);
        for (size_t j = 0; j < i; j++)
            need(!json_equal(json_get(json_object_array_get_idx(calls, j), "id"), id));
    }
}

static struct manifest *text_skill(void)
{
    static struct manifest *m;
    static const char text[] = "{\"slug\":\"s\",\"version\":\"1.0.0\",\"name\":\"S\",\"description\":\"\","
                               "\"timeout_seconds\":5,\"memory_mb\":64,\"inputs\":{\"type\":\"object\"},"
                               "\"outputs\":{\"type\":\"object\",\"required\":[\"text\"],"
                               "\"properties\":{\"text\":{\"type\":\"string\"}}},"
                               "\"runner\":{\"type\":\"model\",\"prompt\":\"x\"}}";
    if (!m)
        need(manifest_compile(NULL, text, sizeof text - 1, &m, NULL) == OK);
    return m;
}

static void check_outputs(void *ctx, const struct chat_completion *answer)
{
    struct schema_problems wrong = {0};
    json_object *outputs;
    const char *why;
    enum answer_verdict v =
        answer_outputs(ctx, text_skill(), answer->content, answer->content_size, &outputs, &why);
    need((v == ANSWER_OK) == (outputs != NULL) && (v == ANSWER_OK) == (why == NULL));
    if (v == ANSWER_OK) {
        need(schema_validate(ctx, text_skill()->outputs, outputs, &wrong) == OK);
        check_text(json_get(outputs, "text"));
    }
}

static void check_reading(void *ctx, const struct reading *r)
{
    need(r->input_tokens >= 0 && r->output_tokens >= 0);
    need(r->e == OK || (r->why && *r->why && utf8_is_valid(r->why, strlen(r->why))));
    if (r->e != OK)
        return;
    need(utf8_is_valid(r->answer.content, r->answer.content_size));
    need(r->answer.input_tokens == r->input_tokens && r->answer.output_tokens == r->output_tokens);
    check_calls(r->answer.calls);
    check_outputs(ctx, &r->answer);
}

static void check_same(const struct reading *a, const struct reading *b)
{
    need(a->e == b->e && a->input_tokens == b->input_tokens && a->output_tokens == b->output_tokens);
    need(a->e == OK || strcmp(a->why, b->why) == 0);
    if (a->e != OK)
        return;
    need(a->answer.content_size == b->answer.content_size &&
         memcmp(a->answer.content, b->answer.content, a->answer.content_size) == 0);
    need(json_object_array_length(a->answer.calls) == json_object_array_length(b->answer.calls));
    need(strlen(json_text(a->answer.message, NULL)) > 0);
}

/* Reads the response whole, in single bytes and in pieces; the results must agree. */
static struct reading read_every_way(void *ctx, const char *text, size_t size, unsigned int seed)
{
    struct reading whole = read_response(ctx, text, size, 0);
    check_reading(ctx, &whole);
    unsigned int seeds[] = {1, seed ? seed : 5};
    for (int i = 0; i < 2; i++) {
        struct reading again = read_response(ctx, text, size, seeds[i]);
        check_same(&whole, &again);
        /* the log holds what the answer holds, up to its first NUL, except an incomplete last character */
        if (again.e == OK && !memchr(again.answer.content, '\0', again.answer.content_size))
            need(again.logged.size <= again.answer.content_size &&
                 again.answer.content_size - again.logged.size <= 9 &&
                 strncmp(again.answer.content, text_buffer_text(&again.logged), again.logged.size) == 0);
    }
    return whole;
}

/* --- a stream from a recipe --- */

struct recipe {
    const uint8_t *next, *end;
    struct text_buffer out;
    void *ctx;
    /* what the stream holds */
    struct text_buffer content;
    int64_t input_tokens, output_tokens;
    bool whole, bad, closed;
};

static unsigned int take(struct recipe *r, unsigned int below)
{
    return r->next < r->end ? *r->next++ % below : 0;
}

static void put(struct recipe *r, const char *text)
{
    text_buffer_append(r->ctx, &r->out, text, strlen(text));
}

static const char *line_end(struct recipe *r)
{
    static const char *const ends[] = {"\n", "\r\n", "\r"};
    return ends[take(r, 3)];
}

/* One event, with the noise that the standard allows around it. */
static void put_event(struct recipe *r, const char *json)
{
    static const char *const noise[] = {"",         ": ping",     "event: message", "id: 7",
                                        "retry: 1", "unknown: x", "event"};
    const char *end = line_end(r), *before = noise[take(r, 7)],
               *split = take(r, 4) == 1 ? strstr(json, ",\"") : NULL;
    if (*before) {
        put(r, before);
        put(r, end);
    }
    put(r, take(r, 2) ? "data: " : "data:");
    if (split) {
        text_buffer_append(r->ctx, &r->out, json, (size_t)(split + 1 - json));
        put(r, end);
        put(r, "data: ");
        put(r, split + 1);
    } else {
        put(r, json);
    }
    put(r, end);
    put(r, end);
}

static void put_content(struct recipe *r)
{
    static const struct {
        const char *json, *text;
    } texts[] = {
        {"\"a\"", "a"},
        {"\"\xc3\xa9\"", "\xc3\xa9"},
        {"\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80"},
        {"\"\\\"}{\"", "\"}{"},
        {"\"\"", ""},
        {"null", ""},
        {"\"\\n\\n\"", "\n\n"},
        {"[{\"type\":\"text\",\"text\":\"p\"}]", "p"},
        {"\"<think>\"", "<think>"},
        {"[{\"type\":\"thinking\",\"thinking\":[]},\"q\"]", "q"},
    };
    unsigned int i = take(r, sizeof texts / sizeof *texts);
    put_event(r,
              talloc_asprintf(r->ctx, "{\"choices\":[{\"delta\":{\"content\":%s},\"finish_reason\":null}]}",
                              texts[i].json));
    if (!r->closed)
        text_buffer_append(r->ctx, &r->content, texts[i].text, strlen(texts[i].text));
}

static void put_usage(struct recipe *r)
{
    static const struct {
        const char *head, *middle, *tail;
    } forms[] = {
        {"{\"choices\":[],\"usage\":{\"prompt_tokens\":", ",\"completion_tokens\":", "}}"},
        {"{\"x_groq\":{\"usage\":{\"prompt_tokens\":", ",\"completion_tokens\":", "}}}"},
        {"{\"choices\":[{\"usage\":{\"input_tokens\":", ",\"output_tokens\":", "}}]}"},
        {"{\"usage\":null,\"timings\":{\"prompt_n\":", ",\"predicted_n\":", "}}"},
    };
    int input = (int)take(r, 200), output = (int)take(r, 200);
    unsigned int i = take(r, 4);
    put_event(r, talloc_asprintf(r->ctx, "%s%d%s%d%s", forms[i].head, input, forms[i].middle, output,
                                 forms[i].tail));
    if (r->closed)
        return;
    r->input_tokens = input > r->input_tokens ? input : r->input_tokens;
    r->output_tokens = output > r->output_tokens ? output : r->output_tokens;
}

static void put_finish(struct recipe *r)
{
    static const struct {
        const char *reason;
        bool whole;
    } ends[] = {{"stop", true},    {"tool_calls", true},      {"eos", true},
                {"length", false}, {"content_filter", false}, {"error", false}};
    unsigned int i = take(r, 6);
    put_event(r, talloc_asprintf(r->ctx, "{\"choices\":[{\"delta\":{},\"finish_reason\":\"%s\"}]}",
                                 ends[i].reason));
    if (r->closed)
        return;
    r->whole = r->whole || ends[i].whole;
    r->bad = r->bad || !ends[i].whole;
}

static void put_calls(struct recipe *r)
{
    static const char *const items[] = {
        "{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}",
        "{\"index\":0,\"function\":{\"arguments\":\"}\"}}",
        "{\"id\":\"b\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}",
        "{\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}",
        "{\"index\":1}",
        "null",
    };
    put_event(r, talloc_asprintf(r->ctx, "{\"choices\":[{\"delta\":{\"tool_calls\":[%s,%s]}}]}",
                                 items[take(r, 6)], items[take(r, 6)]));
}

static void follow_recipe(struct recipe *r)
{
    put(r, take(r, 2) ? "\xef\xbb\xbf" : "");
    while (r->next < r->end) {
        unsigned int what = take(r, 12);
        if (what < 6)
            put_content(r);
        else if (what < 8)
            put_usage(r);
        else if (what == 8)
            put_finish(r);
        else if (what == 9)
            put_calls(r);
        else if (what == 10)
            put_event(r, "{\"choices\":[],\"prompt_filter_results\":[]}");
        else if (take(r, 4) == 0) {
            put_event(r, take(r, 2) ? "[DONE]" : "[DONE] ");
            r->closed = true;
        }
    }
}

static void try_recipe(void *ctx, const uint8_t *data, size_t size, unsigned int seed)
{
    struct recipe r = {.next = data, .end = data + size, .ctx = ctx};
    follow_recipe(&r);
    struct reading got = read_every_way(ctx, text_buffer_text(&r.out), r.out.size, seed);
    need(got.input_tokens == r.input_tokens && got.output_tokens == r.output_tokens);
    need(got.e != OK || (r.whole && !r.bad));
    if (got.e == OK)
        need(got.answer.content_size == r.content.size &&
             memcmp(got.answer.content, text_buffer_text(&r.content), r.content.size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    void *ctx = talloc_new(NULL);
    if (data[0] % 2)
        read_every_way(ctx, (const char *)data + 2, size - 2, data[1]);
    else
        try_recipe(ctx, data + 2, size - 2, data[1]);
    talloc_free(ctx);
    return 0;
}
