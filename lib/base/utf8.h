/* UTF-8 as RFC 3629 defines it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Number of bytes of the character at `p` (`left` bytes are readable); 0 if the bytes there are not valid
 * UTF-8. */
size_t utf8_length(const unsigned char *p, size_t left);
bool utf8_is_valid(const char *text, size_t size);
