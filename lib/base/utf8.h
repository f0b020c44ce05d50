/* UTF-8 as RFC 3629 defines it: no overlong forms, no surrogates, nothing above U+10FFFF. A text is given by
 * pointer and size and may contain NULs. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* True if all bytes are valid UTF-8. ASCII is checked eight bytes at a time. */
bool utf8_is_valid(const char *text, size_t size);

/* The number of bytes before the first one that is not part of valid UTF-8; `size` if there is none. */
size_t utf8_valid_size(const char *text, size_t size);

/* Number of code points in a valid text; in any other text the bytes that are not continuation bytes. */
size_t utf8_count(const char *text, size_t size);

/* The largest size up to `max` bytes at which a valid text can be cut without dividing a code point; `size`
 * if the text is not longer. */
size_t utf8_cut(const char *text, size_t size, size_t max);

/* Copies a text, with U+FFFD in the place of each byte that is not part of valid UTF-8, and of each NUL
 * unless `keep_nul`. `out` must have room for 3 * size bytes. Returns the number of bytes written; `out` is
 * not NUL-terminated. */
size_t utf8_sanitize(char *out, const char *text, size_t size, bool keep_nul);
