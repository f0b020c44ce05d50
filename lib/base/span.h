/* A piece of text by pointer and length, not NUL-terminated. It borrows its bytes. */
#pragma once

#include <stddef.h>

struct span {
    const char *at; /* NULL: absent */
    size_t size;
};
struct span span_text(const char *text); /* NULL makes an absent span */
