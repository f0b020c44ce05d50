#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

/* Number of bytes of the code point at `p`, 0 if it is not valid. `left` bytes are readable, at least one. */
static size_t code_point_size(const unsigned char *p, size_t left)
{
    if (p[0] < 0x80)
        return 1;
    size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || left < n)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    /* overlong forms, surrogates, above U+10FFFF */
    bool wrong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
                 (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f);
    return wrong ? 0 : n;
}

/* The number of ASCII bytes that `text` begins with, possibly rounded down to a multiple of eight. */
static size_t ascii_prefix(const char *text, size_t size)
{
    size_t at = 0;
    for (uint64_t word; size - at >= sizeof word; at += sizeof word) {
        memcpy(&word, text + at, sizeof word);
        if (word & UINT64_C(0x8080808080808080))
            break;
    }
    return at;
}

size_t utf8_valid_size(const char *text, size_t size)
{
    size_t at = 0;
    while (at < size) {
        at += ascii_prefix(text + at, size - at);
        /* at most eight code points before the next attempt to skip ASCII */
        for (int i = 0; i < 8 && at < size; i++) {
            size_t n = code_point_size((const unsigned char *)text + at, size - at);
            if (n == 0)
                return at;
            at += n;
        }
    }
    return size;
}

bool utf8_is_valid(const char *text, size_t size)
{
    return utf8_valid_size(text, size) == size;
}

size_t utf8_count(const char *text, size_t size)
{
    size_t count = 0;
    for (size_t i = 0; i < size; i++)
        count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

size_t utf8_cut(const char *text, size_t size, size_t max)
{
    if (size <= max)
        return size;
    while (max > 0 && ((unsigned char)text[max] & 0xc0) == 0x80)
        max--;
    return max;
}

size_t utf8_sanitize(char *out, const char *text, size_t size, bool keep_nul)
{
    static const char replacement[] = {'\xef', '\xbf', '\xbd'}; /* U+FFFD */
    size_t written = 0;
    for (size_t at = 0; at < size;) {
        size_t n = code_point_size((const unsigned char *)text + at, size - at);
        if (text[at] == '\0' && !keep_nul)
            n = 0;
        memcpy(out + written, n ? text + at : replacement, n ? n : sizeof replacement);
        written += n ? n : sizeof replacement;
        at += n ? n : 1;
    }
    return written;
}
