#include "executor/run/model/chat_stream.h"

#include <string.h>
#include <strings.h>
#include <talloc.h>

#include "base/event_stream.h"
#include "base/text_buffer.h"
#include "executor/run/model/api_error.h"
#include "executor/run/model/chat_calls.h"
#include "executor/run/model/chat_text.h"
#include "json/json.h"

enum {
    /* levels of nesting in an event */
    DEPTH_MAX = 64,
    /* bytes of a finish_reason in a message */
    REASON_MAX = 100,
};

/* What the finish_reason says; the greatest of an answer counts. */
enum finish { FINISH_NONE, FINISH_WHOLE, FINISH_CUT, FINISH_OTHER };

struct chat_stream {
    struct event_stream *events;
    size_t total;
    /* everything received, until it is recognized as an event stream */
    struct text_buffer raw;
    /* as received: chat_text.h */
    struct text_buffer content, refusal;
    /* bytes of content that chat_stream_new_content has returned */
    size_t reported;
    char *new_content;
    struct chat_calls *calls;
    /* a delta was received: a complete message that follows repeats the deltas */
    bool has_delta;
    /* [DONE] was received */
    bool closed;
    bool broken, too_many_calls;
    /* the server's error; NULL: none */
    const char *error;
    bool error_is_final;
    enum finish finish;
    /* as the server wrote it, for FINISH_OTHER */
    const char *finish_reason;
    int64_t input_tokens, output_tokens, cached_tokens;
};

static void on_chat_event(void *arg, const char *type, const char *data, size_t size);

struct chat_stream *chat_stream_new(void *ctx, int round)
{
    struct chat_stream *s = talloc_zero(ctx, struct chat_stream);
    s->events = event_stream_new(s, on_chat_event, s);
    s->calls = chat_calls_new(s, round);
    return s;
}

/* --- the parts of an event --- */

static void append_text(struct chat_stream *s, struct text_buffer *b, json_object *value)
{
    if (json_object_is_type(value, json_type_string))
        text_buffer_append(s, b, json_object_get_string(value), (size_t)json_object_get_string_len(value));
}

/* One part of a content that is a list: text, or a refusal. Reasoning, references and others are no answer.
 */
static void append_part(struct chat_stream *s, json_object *part)
{
    const char *type = json_get_text(part, "type");
    if (json_object_is_type(part, json_type_string))
        append_text(s, &s->content, part);
    else if (!type || strcmp(type, "text") == 0 || strcmp(type, "output_text") == 0)
        append_text(s, &s->content, json_get(part, "text"));
    else if (strcmp(type, "refusal") == 0)
        append_text(s, &s->refusal, json_get(part, "refusal"));
}

static void append_content(struct chat_stream *s, json_object *content)
{
    if (!json_object_is_type(content, json_type_array)) {
        append_part(s, content);
        return;
    }
    for (size_t i = 0; i < json_object_array_length(content); i++)
        append_part(s, json_object_array_get_idx(content, i));
}

static void append_message(struct chat_stream *s, json_object *message, bool whole)
{
    json_object *calls = json_get(message, "tool_calls"), *function = json_get(message, "function_call");
    append_content(s, json_get(message, "content"));
    append_text(s, &s->refusal, json_get(message, "refusal"));
    if (json_object_is_type(calls, json_type_array) && !chat_calls_add(s->calls, calls, whole))
        s->too_many_calls = true;
    if (json_object_is_type(function, json_type_object) && !chat_calls_add_function(s->calls, function))
        s->too_many_calls = true;
}

static void note_finish(struct chat_stream *s, const char *reason)
{
    /* beside OpenAI's own words: those of TGI, Together and of gateways to other APIs; of Mistral and Gemini
     */
    static const char *const whole[] = {"stop",          "tool_calls", "function_call", "eos", "eos_token",
                                        "stop_sequence", "end_turn",   "tool_use",      NULL};
    static const char *const cut[] = {"length", "max_tokens", "model_length", NULL};
    enum finish finish = FINISH_OTHER;
    for (size_t i = 0; whole[i]; i++)
        finish = strcasecmp(reason, whole[i]) == 0 ? FINISH_WHOLE : finish;
    for (size_t i = 0; cut[i]; i++)
        finish = strcasecmp(reason, cut[i]) == 0 ? FINISH_CUT : finish;
    if (finish <= s->finish)
        return;
    s->finish = finish;
    s->finish_reason = talloc_strndup(s, reason, REASON_MAX);
}

static void note_error(struct chat_stream *s, json_object *o)
{
    char *message = api_error_message(s, o);
    if (s->error)
        return;
    s->error = message ? message : "an error without a message";
    s->error_is_final = api_error_is_final(o);
}

static int64_t token_count(json_object *usage, const char *const names[])
{
    int64_t most = 0;
    for (size_t i = 0; names[i]; i++) {
        int64_t n = json_object_get_int64(json_get(usage, names[i]));
        if (n > most && n < INT64_C(1) << 40)
            most = n;
    }
    return most;
}

static void note_usage(struct chat_stream *s, json_object *usage)
{
    static const char *const input[] = {"prompt_tokens", "input_tokens", "prompt_n", NULL};
    static const char *const output[] = {"completion_tokens", "output_tokens", "predicted_n", NULL};
    int64_t in = token_count(usage, input), out = token_count(usage, output);
    s->input_tokens = in > s->input_tokens ? in : s->input_tokens;
    s->output_tokens = out > s->output_tokens ? out : s->output_tokens;
    static const char *const cached[] = {"cached_tokens", NULL};
    static const char *const own[] = {"prompt_cache_hit_tokens", "cache_read_input_tokens", NULL};
    static const char *const details[] = {"prompt_tokens_details", "input_tokens_details"};
    int64_t hit = token_count(usage, own);
    for (size_t i = 0; i < sizeof details / sizeof *details; i++) {
        int64_t n = token_count(json_get(usage, details[i]), cached);
        hit = n > hit ? n : hit;
    }
    s->cached_tokens = hit > s->cached_tokens ? hit : s->cached_tokens;
}

static void take_choice(struct chat_stream *s, json_object *choice)
{
    json_object *delta = json_get(choice, "delta");
    const char *finish = json_get_text(choice, "finish_reason");
    if (json_object_get_int64(json_get(choice, "index")) != 0)
        return; /* only one answer was asked for */
    if (json_get(choice, "error"))
        note_error(s, choice);
    note_usage(s, json_get(choice, "usage"));
    if (delta)
        append_message(s, delta, false);
    else if (!s->has_delta)
        append_message(s, json_get(choice, "message"), true);
    s->has_delta = s->has_delta || delta;
    if (finish && *finish)
        note_finish(s, finish);
}

/* --- events --- */

static bool is_error(json_object *o, const char *type)
{
    json_object *error = json_get(o, "error");
    const char *object = json_get_text(o, "object");
    if (json_object_is_type(error, json_type_object) || json_object_is_type(error, json_type_array))
        return true;
    if (json_object_is_type(error, json_type_string) && json_object_get_string_len(error) > 0)
        return true;
    return strcmp(type, "error") == 0 || (object && strcmp(object, "error") == 0) ||
           (json_get(o, "detail") && !json_get(o, "choices"));
}

static void take_object(struct chat_stream *s, json_object *o, const char *type)
{
    json_object *choices = json_get(o, "choices");
    if (is_error(o, type))
        note_error(s, o);
    note_usage(s, json_get(o, "usage"));
    note_usage(s, json_get(json_get(o, "x_groq"), "usage"));
    note_usage(s, json_get(o, "timings"));
    if (!json_object_is_type(choices, json_type_array))
        return;
    for (size_t i = 0; i < json_object_array_length(choices); i++)
        take_choice(s, json_object_array_get_idx(choices, i));
}

static void take_value(struct chat_stream *s, json_object *value, const char *type)
{
    if (!json_object_is_type(value, json_type_array)) {
        take_object(s, value, type);
        return;
    }
    for (size_t i = 0; i < json_object_array_length(value); i++)
        take_object(s, json_object_array_get_idx(value, i), type);
}

/* Parses the value that the text begins with. Returns its size, 0 if it is not JSON. Only a few texts and
 * numbers of it are used, so that json-c's tolerance does no harm: NaN, large integers, and bytes that are
 * not UTF-8 must not make a paid answer unusable. */
static size_t take_next_value(struct chat_stream *s, const char *text, size_t size, const char *type)
{
    struct json_tokener *t = json_tokener_new_ex(DEPTH_MAX);
    json_object *value = json_tokener_parse_ex(t, text, (int)size);
    bool ok = json_tokener_get_error(t) == json_tokener_success;
    size_t used = ok ? json_tokener_get_parse_end(t) : 0;
    json_tokener_free(t);
    if (ok)
        take_value(s, value, type);
    json_object_put(value);
    return used;
}

static bool is_white(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The data of an event are one JSON text or [DONE], after which everything is ignored. Several stand here if
 * the server separates its events by one line end only, or sends lines of JSON instead of events. */
static void take_data(struct chat_stream *s, const char *text, size_t size, const char *type)
{
    static const char done[] = "[DONE]";
    size_t n = sizeof done - 1, used;
    while (!s->closed && !s->broken) {
        while (size > 0 && is_white(*text)) {
            text++;
            size--;
        }
        if (size == 0)
            return;
        if (size >= n && memcmp(text, done, n) == 0 && (size == n || is_white(text[n]))) {
            s->closed = true;
            return;
        }
        used = take_next_value(s, text, size, type);
        s->broken = used == 0;
        text += used;
        size -= used;
    }
}

static void on_chat_event(void *arg, const char *type, const char *data, size_t size)
{
    struct chat_stream *s = arg;
    const char *json = s->closed ? data : chat_text_keep_halves(s, data, size, &size);
    if (!s->closed)
        take_data(s, json, size, type);
    if (json != data)
        talloc_free((void *)json);
}

bool chat_stream_feed(struct chat_stream *s, const char *bytes, size_t size)
{
    s->total += size;
    if (s->total > CHAT_ANSWER_MAX)
        return false;
    if (!event_stream_is_recognized(s->events))
        text_buffer_append(s, &s->raw, bytes, size);
    event_stream_feed(s->events, bytes, size);
    return true;
}

const char *chat_stream_new_content(struct chat_stream *s)
{
    const char *text = text_buffer_text(&s->content) + s->reported;
    size_t size = chat_text_settled(text, s->content.size - s->reported);
    talloc_free(s->new_content);
    s->reported += size;
    s->new_content = chat_text_repair(s, text, size, &size);
    return s->new_content;
}

void chat_stream_usage(const struct chat_stream *s, int64_t *input_tokens_r, int64_t *output_tokens_r)
{
    *input_tokens_r = s->input_tokens;
    *output_tokens_r = s->output_tokens;
}

int64_t chat_stream_cached_tokens(const struct chat_stream *s)
{
    return s->cached_tokens < s->input_tokens ? s->cached_tokens : s->input_tokens;
}

/* --- the completion --- */

static json_object *make_message(struct chat_stream *s, const struct chat_completion *answer)
{
    json_object *m = json_own(s, json_object_new_object());
    bool calls = json_object_array_length(answer->calls) > 0;
    json_object *content = answer->content_size > 0 || !calls
                               ? json_object_new_string_len(answer->content, (int)answer->content_size)
                               : NULL;
    json_object_object_add(m, "role", json_object_new_string("assistant"));
    json_object_object_add(m, "content", content);
    if (calls)
        json_object_object_add(m, "tool_calls", json_object_get(answer->calls));
    return m;
}

static void read_body_without_events(struct chat_stream *s)
{
    static const char mark[] = "\xef\xbb\xbf";
    size_t n = sizeof mark - 1;
    bool marked = s->raw.size >= n && memcmp(s->raw.text, mark, n) == 0;
    if (s->raw.size > 0)
        on_chat_event(s, "message", s->raw.text + (marked ? n : 0), s->raw.size - (marked ? n : 0));
}

/* Why the response is no answer, and whether another request may help; NULL: it is one. */
static const char *judge_response(struct chat_stream *s, enum err *e_r)
{
    size_t size;
    *e_r = ERR_INVALID;
    if (s->error) {
        *e_r = s->error_is_final ? ERR_INVALID : ERR_RETRY;
        return s->error;
    }
    if (s->finish == FINISH_CUT)
        return "the answer was cut at max_tokens";
    if (s->finish == FINISH_OTHER)
        return talloc_asprintf(s, "the answer ended with finish_reason \"%s\"",
                               chat_text_repair(s, s->finish_reason, strlen(s->finish_reason), &size));
    if (s->refusal.size > 0) {
        size = s->refusal.size < API_ERROR_MAX ? s->refusal.size : API_ERROR_MAX;
        size = chat_text_settled(s->refusal.text, size);
        return talloc_asprintf(s, "the model refused: %s", chat_text_repair(s, s->refusal.text, size, &size));
    }
    if (s->too_many_calls)
        return talloc_asprintf(s, "the answer has more than %d tool calls", CHAT_TOOL_CALLS_MAX);
    if (s->finish == FINISH_NONE && s->closed)
        return "the response ended without a finish_reason";
    *e_r = ERR_RETRY;
    if (s->broken)
        return "the response could not be parsed";
    return s->finish == FINISH_NONE ? "the response ended early" : NULL;
}

enum err chat_stream_finish(struct chat_stream *s, struct chat_completion *answer_r, const char **why_r)
{
    enum err e;
    event_stream_finish(s->events);
    if (!event_stream_is_recognized(s->events))
        read_body_without_events(s);
    *why_r = judge_response(s, &e);
    if (*why_r)
        return e;
    *answer_r = (struct chat_completion){
        .calls = chat_calls_json(s->calls),
        .input_tokens = s->input_tokens,
        .output_tokens = s->output_tokens,
        .cached_tokens = chat_stream_cached_tokens(s),
    };
    if (!answer_r->calls) {
        *why_r = "a tool call has no name";
        return ERR_INVALID;
    }
    answer_r->content =
        chat_text_repair(s, text_buffer_text(&s->content), s->content.size, &answer_r->content_size);
    answer_r->message = make_message(s, answer_r);
    return OK;
}
