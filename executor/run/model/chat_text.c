#define _GNU_SOURCE /* memmem */
#include "executor/run/model/chat_text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <talloc.h>

#include "base/utf8.h"

enum {
    /* bytes of \uXXXX, and of half of a pair */
    ESCAPE_SIZE = 6,
    HALF_SIZE = 3,
    HIGH_FIRST = 0xd800,
    LOW_FIRST = 0xdc00,
    LOW_LAST = 0xdfff,
};

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The code unit of a \uXXXX at p; -1: there is none. */
static int escaped_unit(const char *p, const char *end)
{
    int unit = 0;
    if (end - p < ESCAPE_SIZE || p[0] != '\\' || p[1] != 'u')
        return -1;
    for (int i = 2; i < ESCAPE_SIZE; i++) {
        int digit = hex_digit(p[i]);
        if (digit < 0)
            return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

static bool is_high(int unit)
{
    return unit >= HIGH_FIRST && unit < LOW_FIRST;
}

static bool is_low(int unit)
{
    return unit >= LOW_FIRST && unit <= LOW_LAST;
}

/* Copies one character of the JSON text, or one escape or pair of escapes; *p is moved behind it. */
static char *copy_unit(char *out, const char **p, const char *end)
{
    int unit = escaped_unit(*p, end);
    size_t n = **p == '\\' && end - *p > 1 ? 2 : 1;
    if (is_high(unit) && is_low(escaped_unit(*p + ESCAPE_SIZE, end))) {
        n = 2 * (size_t)ESCAPE_SIZE;
    } else if (is_high(unit) || is_low(unit)) {
        *out++ = (char)(0xe0 | unit >> 12);
        *out++ = (char)(0x80 | (unit >> 6 & 0x3f));
        *out++ = (char)(0x80 | (unit & 0x3f));
        *p += ESCAPE_SIZE;
        return out;
    }
    memcpy(out, *p, n);
    *p += n;
    return out + n;
}

const char *chat_text_keep_halves(void *ctx, const char *json, size_t size, size_t *size_r)
{
    *size_r = size;
    if (!memmem(json, size, "\\ud", 3) && !memmem(json, size, "\\uD", 3))
        return json;
    const char *end = json + size;
    char *text = talloc_size(ctx, size + 1), *out = text;
    for (const char *p = json; p < end;)
        out = copy_unit(out, &p, end);
    *out = '\0';
    *size_r = (size_t)(out - text);
    return text;
}

/* Half of a pair as three bytes at p; -1: there is none. */
static int half_at(const char *p, const char *end)
{
    const unsigned char *b = (const unsigned char *)p;
    if (end - p < HALF_SIZE || b[0] != 0xed || b[1] < 0xa0 || b[1] > 0xbf || (b[2] & 0xc0) != 0x80)
        return -1;
    return 0xd000 | (b[1] & 0x3f) << 6 | (b[2] & 0x3f);
}

/* The number of bytes at the end of the text that begin a character and do not complete it. */
static size_t unfinished_character(const char *text, size_t size)
{
    for (size_t n = 1; n <= 3 && n <= size; n++) {
        unsigned char c = (unsigned char)text[size - n];
        if ((c & 0xc0) == 0x80)
            continue;
        size_t whole = c >= 0xf0 && c <= 0xf4 ? 4 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xc2 && c < 0xe0 ? 2 : 1;
        return n < whole ? n : 0;
    }
    return 0;
}

size_t chat_text_settled(const char *text, size_t size)
{
    size -= unfinished_character(text, size);
    if (size >= HALF_SIZE && is_high(half_at(text + size - HALF_SIZE, text + size)))
        size -= HALF_SIZE;
    return size;
}

/* Writes the character of a pair of halves as UTF-8. */
static char *put_pair(char *out, int high, int low)
{
    uint32_t c = 0x10000 + ((uint32_t)(high - HIGH_FIRST) << 10) + (uint32_t)(low - LOW_FIRST);
    *out++ = (char)(0xf0 | c >> 18);
    *out++ = (char)(0x80 | (c >> 12 & 0x3f));
    *out++ = (char)(0x80 | (c >> 6 & 0x3f));
    *out++ = (char)(0x80 | (c & 0x3f));
    return out;
}

char *chat_text_repair(void *ctx, const char *text, size_t size, size_t *size_r)
{
    const char *end = text + size;
    char *joined = talloc_size(ctx, size + 1), *out = joined;
    for (const char *p = text; p < end;) {
        int high = half_at(p, end);
        int low = is_high(high) ? half_at(p + HALF_SIZE, end) : -1;
        if (is_low(low)) {
            out = put_pair(out, high, low);
            p += 2 * (ptrdiff_t)HALF_SIZE;
        } else if (high >= 0) { /* one character, and not one for each byte */
            memcpy(out, "\xef\xbf\xbd", HALF_SIZE);
            out += HALF_SIZE;
            p += HALF_SIZE;
        } else {
            *out++ = *p++;
        }
    }
    char *clean = talloc_size(ctx, 3 * (size_t)(out - joined) + 1);
    *size_r = utf8_sanitize(clean, joined, (size_t)(out - joined), true);
    clean[*size_r] = '\0';
    talloc_free(joined);
    return clean;
}
