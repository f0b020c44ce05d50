/* The formats of JSON Schema 2020-12, for when `format` is an assertion. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* `text` is UTF-8 of `size` bytes and may hold NULs. */
typedef bool format_check(const char *text, size_t size);

/* NULL for a format that is not known: such a one is no assertion. */
format_check *format_find(const char *name);
