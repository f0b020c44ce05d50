/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the character at `p`, 0 where there is none. */
size_t utf8_length(const unsigned char *p, size_t left);
bool utf8_is_valid(const char *text, size_t size);
