#include "base/html.h"

#include <string.h>

static const char *escaped(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    default:
        return "&#39;";
    }
}

void html_append_text(void *ctx, struct text_buffer *b, const char *text)
{
    for (const char *p = text; *p;) {
        size_t n = strcspn(p, "&<>\"'");
        text_buffer_append(ctx, b, p, n);
        p += n;
        if (*p) {
            const char *entity = escaped(*p++);
            text_buffer_append(ctx, b, entity, strlen(entity));
        }
    }
}
