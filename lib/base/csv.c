#include "base/csv.h"

#include <stdbool.h>
#include <string.h>
#include <talloc.h>

/* Spreadsheets also take the full-width forms U+FF1D, U+FF0B, U+FF0D and U+FF20 for = + - @. */
static bool begins_formula(const char *text, size_t size)
{
    static const char *const starts[] = {
        "=", "+", "-", "@", "\t", "\r", "\n", "\xEF\xBC\x9D", "\xEF\xBC\x8B", "\xEF\xBC\x8D", "\xEF\xBC\xA0"};
    while (size > 0 && *text == ' ') {
        text++;
        size--;
    }
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        size_t n = strlen(starts[i]);
        if (size >= n && memcmp(text, starts[i], n) == 0)
            return true;
    }
    return false;
}

static bool needs_quotes(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (strchr("\",\r\n", text[i]) && text[i])
            return true;
    }
    return size == 0;
}

char *csv_append_text(char *csv, const char *text, size_t size)
{
    bool quoted = needs_quotes(text, size);
    if (quoted)
        csv = talloc_strdup_append_buffer(csv, "\"");
    if (begins_formula(text, size))
        csv = talloc_strdup_append_buffer(csv, "'");
    for (size_t i = 0, n; i < size; i += n) {
        const char *quote = memchr(text + i, '"', size - i);
        n = quote ? (size_t)(quote - text) + 1 - i : size - i;
        csv = talloc_strndup_append_buffer(csv, text + i, n);
        if (quote)
            csv = talloc_strdup_append_buffer(csv, "\"");
    }
    return quoted ? talloc_strdup_append_buffer(csv, "\"") : csv;
}
