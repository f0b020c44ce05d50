#include "stream/sse.h"

#include <stdio.h>
#include <string.h>
#include <talloc.h>

/* A line end would end the field, so each line of the text becomes a `data:` field; the client joins them. */
static void append_data(char **out, const char *text, size_t size)
{
    const char *end = text + size;
    for (const char *line = text;; line++) {
        const char *stop = line;
        while (stop < end && *stop != '\n' && *stop != '\r')
            stop++;
        *out = talloc_asprintf_append_buffer(*out, "data: %.*s\n", (int)(stop - line), line);
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

void sse_append_retry(char **out, int ms)
{
    *out = talloc_asprintf_append_buffer(*out, "retry: %d\n\n", ms);
}

size_t chunk_head(char head[CHUNK_HEAD_SIZE], size_t size)
{
    return (size_t)snprintf(head, CHUNK_HEAD_SIZE, "%zx\r\n", size);
}
