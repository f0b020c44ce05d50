#include "base/event_stream.h"

#include <string.h>
#include <talloc.h>

#include "base/text_buffer.h"

struct event_stream {
    event_stream_event *on_event;
    void *arg;
    /* the current line, without its end */
    struct text_buffer line;
    struct text_buffer data, type;
    bool has_data;
    /* the last byte was CR: an LF that follows belongs to it */
    bool after_cr;
    bool past_first_line;
    bool recognized;
};

struct event_stream *event_stream_new(void *ctx, event_stream_event *on_event, void *arg)
{
    struct event_stream *s = talloc_zero(ctx, struct event_stream);
    s->on_event = on_event;
    s->arg = arg;
    return s;
}

static void dispatch_event(struct event_stream *s)
{
    if (s->has_data)
        s->on_event(s->arg, s->type.size > 0 ? s->type.text : "message", text_buffer_text(&s->data),
                    s->data.size);
    text_buffer_clear(&s->data);
    text_buffer_clear(&s->type);
    s->has_data = false;
}

static bool is_field(const char *name, size_t size, const char *field)
{
    return size == strlen(field) && memcmp(name, field, size) == 0;
}

static void take_field(struct event_stream *s, const char *name, size_t name_size, const char *value,
                       size_t size)
{
    if (is_field(name, name_size, "data")) {
        if (s->has_data)
            text_buffer_append(s, &s->data, "\n", 1);
        text_buffer_append(s, &s->data, value, size);
        s->has_data = true;
    } else if (is_field(name, name_size, "event")) {
        text_buffer_clear(&s->type);
        if (!memchr(value, '\0', size)) /* the part before a NUL could be another type */
            text_buffer_append(s, &s->type, value, size);
    } else if (!is_field(name, name_size, "id") && !is_field(name, name_size, "retry")) {
        return;
    }
    s->recognized = true;
}

static void take_line(struct event_stream *s)
{
    static const char mark[] = "\xef\xbb\xbf";
    const char *p = text_buffer_text(&s->line);
    size_t n = s->line.size;
    if (!s->past_first_line && n >= sizeof mark - 1 && memcmp(p, mark, sizeof mark - 1) == 0) {
        p += sizeof mark - 1;
        n -= sizeof mark - 1;
    }
    s->past_first_line = true;
    const char *colon = memchr(p, ':', n);
    if (n == 0) {
        dispatch_event(s);
    } else if (colon == p) {
        s->recognized = true;
    } else if (!colon) {
        take_field(s, p, n, "", 0);
    } else {
        const char *value = colon + 1;
        value += value < p + n && *value == ' ';
        take_field(s, p, (size_t)(colon - p), value, (size_t)(p + n - value));
    }
    text_buffer_clear(&s->line);
}

/* The number of bytes before the first CR or LF; `size` if there is none. */
static size_t line_size(const char *bytes, size_t size)
{
    const char *lf = memchr(bytes, '\n', size);
    const char *cr = memchr(bytes, '\r', lf ? (size_t)(lf - bytes) : size);
    return cr ? (size_t)(cr - bytes) : lf ? (size_t)(lf - bytes) : size;
}

void event_stream_feed(struct event_stream *s, const char *bytes, size_t size)
{
    if (size > 0 && s->after_cr && *bytes == '\n') {
        bytes++;
        size--;
        s->after_cr = false;
    }
    while (size > 0) {
        size_t n = line_size(bytes, size);
        s->after_cr = false;
        text_buffer_append(s, &s->line, bytes, n);
        if (n == size)
            return;
        bool crlf = bytes[n] == '\r' && n + 1 < size && bytes[n + 1] == '\n';
        s->after_cr = bytes[n] == '\r' && n + 1 == size;
        take_line(s);
        bytes += n + 1 + crlf;
        size -= n + 1 + crlf;
    }
}

void event_stream_finish(struct event_stream *s)
{
    if (s->line.size > 0)
        take_line(s);
    dispatch_event(s);
}

bool event_stream_is_recognized(const struct event_stream *s)
{
    return s->recognized;
}
