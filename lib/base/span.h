/* A piece of text as pointer and length. The text is not NUL-terminated, and the span does not own it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct span {
    /* NULL: the text is absent, which differs from an empty text */
    const char *at;
    size_t size;
};
/* A span over a NUL-terminated text; an absent span for NULL. */
struct span span_text(const char *text);
/* True if the bytes are those of `text`. */
bool span_is(struct span s, const char *text);
