/* A text that grows: bytes of any value, followed by a NUL that is not counted. Zeroed, it is empty. Its
 * memory belongs to the context of its first append; out of memory ends the program, as talloc is set up. */
#pragma once

#include <stddef.h>

struct text_buffer {
    /* NULL: nothing was appended yet */
    char *text;
    size_t size;
};

void text_buffer_append(void *ctx, struct text_buffer *b, const char *bytes, size_t size);
/* Empties the buffer and keeps its memory. */
void text_buffer_clear(struct text_buffer *b);
/* The text, "" if nothing was appended. Valid until the next append. */
const char *text_buffer_text(const struct text_buffer *b);
