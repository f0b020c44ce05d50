#include "executor/db_thread/error_text.h"

#include <stddef.h>
#include <string.h>
#include <talloc.h>

#include "base/utf8.h"

static const char ellipsis[] = "\u2026";

/* Bytes of one byte in a JSON string. */
static size_t json_width(unsigned char c)
{
    if (c == '"' || c == '\\' || c == '/')
        return 2;
    return c < 0x20 || c == 0x7f ? sizeof "\\u0000" - 1 : 1;
}

/* The bytes of the text that fit `max` bytes of JSON. */
static size_t fitting(const char *text, size_t max)
{
    size_t n = 0;
    for (size_t used = 0; text[n]; n++) {
        used += json_width((unsigned char)text[n]);
        if (used > max)
            break;
    }
    return n;
}

const char *error_text(void *ctx, const char *error)
{
    if (!error || !error[fitting(error, ERROR_TEXT_MAX)])
        return talloc_strdup(ctx, error);
    size_t n = fitting(error, ERROR_TEXT_MAX - (sizeof ellipsis - 1));
    /* one byte more, so that a character that ends at n counts as whole */
    n = utf8_cut(error, n + 1, n);
    return talloc_asprintf(ctx, "%.*s%s", (int)n, error, ellipsis);
}
