#include "base/text_buffer.h"

#include <string.h>
#include <talloc.h>

void text_buffer_append(void *ctx, struct text_buffer *b, const char *bytes, size_t size)
{
    if (b->size + size + 1 > talloc_get_size(b->text))
        b->text = talloc_realloc_size(ctx, b->text, 2 * (b->size + size + 1));
    if (size > 0)
        memcpy(b->text + b->size, bytes, size);
    b->size += size;
    b->text[b->size] = '\0';
}

void text_buffer_clear(struct text_buffer *b)
{
    b->size = 0;
    if (b->text)
        b->text[0] = '\0';
}

const char *text_buffer_text(const struct text_buffer *b)
{
    return b->text ? b->text : "";
}
