/* The formats of JSON Schema 2020-12 (its validation vocabulary, section 7.3), used where `format` is an
 * assertion. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* True if `text` has the format. It is UTF-8 of `size` bytes and may contain NULs. */
typedef bool format_check(const char *text, size_t size);

/* The check of a format; NULL for an unknown format, which asserts nothing. */
format_check *format_find(const char *name);
