#include "executor/run/model/chat_stream.h"

#include <string.h>
#include <talloc.h>

#include "json/json.h"

struct chat_buffer {
    char *text;
    size_t size;
};

struct tool_call {
    struct chat_buffer id, name, arguments;
};

struct chat_stream {
    size_t total;
    /* everything received, until the first event */
    struct chat_buffer raw;
    /* the current line, without its end */
    struct chat_buffer line;
    struct chat_buffer content;
    /* bytes of content that chat_stream_new_content has returned */
    size_t reported;
    char *new_content;
    struct tool_call calls[CHAT_TOOL_CALLS_MAX];
    size_t calls_n;
    /* server-sent events were received */
    bool events;
    /* finish_reason or [DONE] was received */
    bool done;
    bool broken;
    /* the server's error; NULL: none */
    const char *error;
    /* finish_reason */
    char finish[32];
    int64_t input_tokens, output_tokens;
};

struct chat_stream *chat_stream_new(void *ctx)
{
    return talloc_zero(ctx, struct chat_stream);
}

static void chat_buffer_append(void *ctx, struct chat_buffer *b, const char *bytes, size_t size)
{
    if (b->size + size + 1 > talloc_get_size(b->text))
        b->text = talloc_realloc_size(ctx, b->text, 2 * (b->size + size + 1));
    memcpy(b->text + b->size, bytes, size);
    b->size += size;
    b->text[b->size] = '\0';
}

static void chat_buffer_append_member(void *ctx, struct chat_buffer *b, json_object *object, const char *name)
{
    json_object *value = json_get(object, name);
    if (json_object_is_type(value, json_type_string))
        chat_buffer_append(ctx, b, json_object_get_string(value), (size_t)json_object_get_string_len(value));
}

/* --- parts of an answer: the same in deltas and in whole messages --- */

static void append_tool_call(struct chat_stream *s, json_object *call, size_t place)
{
    json_object *index = json_get(call, "index"), *function = json_get(call, "function");
    if (index)
        place = (size_t)json_object_get_int64(index);
    if (place >= CHAT_TOOL_CALLS_MAX) {
        s->broken = true;
        return;
    }
    struct tool_call *c = &s->calls[place];
    if (place >= s->calls_n)
        s->calls_n = place + 1;
    if (c->id.size == 0)
        chat_buffer_append_member(s, &c->id, call, "id");
    if (c->name.size == 0)
        chat_buffer_append_member(s, &c->name, function, "name");
    chat_buffer_append_member(s, &c->arguments, function, "arguments");
}

static void append_message(struct chat_stream *s, json_object *message)
{
    json_object *calls = json_get(message, "tool_calls");
    chat_buffer_append_member(s, &s->content, message, "content");
    if (!json_object_is_type(calls, json_type_array))
        return;
    for (size_t i = 0; i < json_object_array_length(calls); i++)
        append_tool_call(s, json_object_array_get_idx(calls, i), i);
}

static int64_t token_count(json_object *usage, const char *name)
{
    int64_t n = json_object_get_int64(json_get(usage, name));
    return n > 0 && n < INT64_C(1) << 40 ? n : 0;
}

static void handle_chunk(struct chat_stream *s, json_object *o)
{
    json_object *usage = json_get(o, "usage"), *choices = json_get(o, "choices");
    json_object *error = json_get(o, "error");
    json_object *choice =
        json_object_is_type(choices, json_type_array) ? json_object_array_get_idx(choices, 0) : NULL;
    if (error) {
        const char *text = json_object_is_type(error, json_type_string) ? json_object_get_string(error)
                                                                        : json_get_text(error, "message");
        s->error = talloc_strdup(s, text ? text : "an error without a message");
    }
    if (usage) {
        s->input_tokens = token_count(usage, "prompt_tokens");
        s->output_tokens = token_count(usage, "completion_tokens");
    }
    append_message(s, json_get(choice, "delta") ? json_get(choice, "delta") : json_get(choice, "message"));
    const char *finish = json_get_text(choice, "finish_reason");
    if (finish) {
        strncpy(s->finish, finish, sizeof s->finish - 1);
        s->done = true;
    }
}

static void parse_chunk(struct chat_stream *s, const char *text, size_t size)
{
    void *scratch = talloc_new(s);
    json_object *o;
    const char *why;
    if (json_parse_tolerant(scratch, text, size, 64, &o, &why) == OK)
        handle_chunk(s, o);
    else
        s->broken = true;
    talloc_free(scratch);
}

/* --- lines --- */

static void handle_line(struct chat_stream *s)
{
    char *p = s->line.text;
    size_t n = s->line.size;
    if (n > 0 && p[n - 1] == '\r')
        p[--n] = '\0';
    if (n < 5 || memcmp(p, "data:", 5) != 0)
        return;
    s->events = true;
    p += 5 + (p[5] == ' ');
    if (strcmp(p, "[DONE]") == 0)
        s->done = true;
    else if (*p)
        parse_chunk(s, p, strlen(p));
}

bool chat_stream_feed(struct chat_stream *s, const char *bytes, size_t size)
{
    s->total += size;
    if (s->total > CHAT_ANSWER_MAX)
        return false;
    if (!s->events)
        chat_buffer_append(s, &s->raw, bytes, size);
    while (size > 0) {
        const char *end = memchr(bytes, '\n', size);
        size_t n = end ? (size_t)(end - bytes) : size;
        chat_buffer_append(s, &s->line, bytes, n);
        if (!end)
            return true;
        handle_line(s);
        s->line.size = 0;
        bytes += n + 1;
        size -= n + 1;
    }
    return true;
}

const char *chat_stream_new_content(struct chat_stream *s)
{
    talloc_free(s->new_content);
    s->new_content = talloc_strndup(s, s->content.text ? s->content.text + s->reported : "",
                                    s->content.size - s->reported);
    s->reported = s->content.size;
    return s->new_content;
}

/* --- the completion --- */

static json_object *string_of(const struct chat_buffer *b)
{
    return json_object_new_string_len(b->text ? b->text : "", (int)b->size);
}

static json_object *make_calls(struct chat_stream *s)
{
    json_object *list = json_own(s, json_object_new_array());
    for (size_t i = 0; i < s->calls_n; i++) {
        json_object *call = json_object_new_object(), *function = json_object_new_object();
        json_object_object_add(call, "id", string_of(&s->calls[i].id));
        json_object_object_add(call, "type", json_object_new_string("function"));
        json_object_object_add(function, "name", string_of(&s->calls[i].name));
        json_object_object_add(function, "arguments", string_of(&s->calls[i].arguments));
        json_object_object_add(call, "function", function);
        json_object_array_add(list, call);
    }
    return list;
}

static json_object *make_message(struct chat_stream *s, json_object *calls)
{
    json_object *m = json_own(s, json_object_new_object());
    json_object_object_add(m, "role", json_object_new_string("assistant"));
    json_object_object_add(m, "content",
                           s->content.size > 0 || s->calls_n == 0 ? string_of(&s->content) : NULL);
    if (s->calls_n > 0)
        json_object_object_add(m, "tool_calls", json_object_get(calls));
    return m;
}

enum err chat_stream_finish(struct chat_stream *s, struct chat_completion *answer_r, const char **why_r)
{
    if (s->events && s->line.size > 0)
        handle_line(s);
    if (!s->events && s->raw.size > 0)
        parse_chunk(s, s->raw.text, s->raw.size);
    *why_r = s->error    ? s->error
             : s->broken ? "the response could not be parsed"
             : !s->done  ? "the response ended early"
                         : NULL;
    if (*why_r)
        return ERR_INVALID;
    *answer_r = (struct chat_completion){
        .content = s->content.text ? s->content.text : "",
        .calls = make_calls(s),
        .was_cut = strcmp(s->finish, "length") == 0,
        .input_tokens = s->input_tokens,
        .output_tokens = s->output_tokens,
    };
    answer_r->message = make_message(s, answer_r->calls);
    return OK;
}
