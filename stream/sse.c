#include "stream/sse.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

/* The size of the character at p if it ends a line for clients that split text by Unicode's rules (U+0085,
 * U+2028, U+2029), else 0; *code_r is the character. The standard ends lines at CR and LF only. */
static size_t unicode_line_end(const char *p, size_t left, unsigned *code_r)
{
    if (left >= 2 && memcmp(p, "\xc2\x85", 2) == 0) {
        *code_r = 0x85;
        return 2;
    }
    if (left < 3 || memcmp(p, "\xe2\x80", 2) != 0 || (p[2] != '\xa8' && p[2] != '\xa9'))
        return 0;
    *code_r = p[2] == '\xa8' ? 0x2028 : 0x2029;
    return 3;
}

/* Appends one line of JSON. Such a character can only stand in a string, and is written as an escape. */
static void append_line(char **out, const char *line, size_t size)
{
    size_t begin = 0, n;
    unsigned code;
    *out = talloc_strdup_append_buffer(*out, "data: ");
    for (size_t i = 0; i < size; i += n ? n : 1) {
        n = unicode_line_end(line + i, size - i, &code);
        if (n == 0)
            continue;
        *out = talloc_asprintf_append_buffer(*out, "%.*s\\u%04x", (int)(i - begin), line + begin, code);
        begin = i + n;
    }
    *out = talloc_asprintf_append_buffer(*out, "%.*s\n", (int)(size - begin), line + begin);
}

/* A line end would end the field, so each line of the text becomes a `data:` field; the client joins them. */
static void append_data(char **out, const char *text, size_t size)
{
    const char *end = text + size;
    for (const char *line = text;; line++) {
        const char *stop = line;
        while (stop < end && *stop != '\n' && *stop != '\r')
            stop++;
        append_line(out, line, (size_t)(stop - line));
        if (stop + 1 < end && stop[0] == '\r' && stop[1] == '\n')
            stop++;
        if (stop >= end)
            return;
        line = stop;
    }
}

void sse_append_event(char **out, int seq, enum event_type type, const char *text, size_t size)
{
    *out = talloc_asprintf_append_buffer(*out, "id: %d\nevent: %s\n", seq, event_name(type));
    append_data(out, text, size);
    *out = talloc_strdup_append_buffer(*out, "\n");
}

void sse_append_feed(char **out, int64_t number, const char *type, const char *text, size_t size)
{
    *out = talloc_asprintf_append_buffer(*out, "id: %" PRId64 "\nevent: %s\n", number, type);
    append_data(out, text, size);
    *out = talloc_strdup_append_buffer(*out, "\n");
}

void sse_append_message(char **out, const char *event_id, const char *text, size_t size)
{
    *out = talloc_asprintf_append_buffer(*out, "event: message\nid: %s\n", event_id);
    append_data(out, text, size);
    *out = talloc_strdup_append_buffer(*out, "\n");
}

void sse_append_id(char **out, int64_t number)
{
    *out = talloc_asprintf_append_buffer(*out, "id: %" PRId64 "\n\n", number);
}

void sse_append_retry(char **out, int ms)
{
    *out = talloc_asprintf_append_buffer(*out, "retry: %d\n\n", ms);
}

size_t chunk_head(char head[CHUNK_HEAD_SIZE], size_t size)
{
    return (size_t)snprintf(head, CHUNK_HEAD_SIZE, "%zx\r\n", size);
}
