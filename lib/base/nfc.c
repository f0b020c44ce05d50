#include "base/nfc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>

static bool is_ascii(const char *text)
{
    while (*text && (unsigned char)*text < 0x80)
        text++;
    return !*text;
}

static const char *normal_text(void *ctx, const char *text, bool composed)
{
    /* bytes of UTF-8 for each code unit, and the growth of UTF-16 in the forms C and D (UAX 15, table 7) */
    enum { BYTES_PER_UNIT = 3, GROWTH = 4 };
    if (is_ascii(text))
        return talloc_strdup(ctx, text);
    UErrorCode e = U_ZERO_ERROR;
    int32_t size = (int32_t)strlen(text), units, normal_units, bytes;
    int32_t normal_max = size * GROWTH, bytes_max = normal_max * BYTES_PER_UNIT;
    UChar *wide = talloc_array(ctx, UChar, size);
    UChar *normal = talloc_array(ctx, UChar, normal_max);
    char *out = talloc_array(ctx, char, bytes_max + 1);
    const UNormalizer2 *form = composed ? unorm2_getNFCInstance(&e) : unorm2_getNFDInstance(&e);
    u_strFromUTF8(wide, size, &units, text, size, &e);
    normal_units = unorm2_normalize(form, wide, units, normal, normal_max, &e);
    u_strToUTF8(out, bytes_max, &bytes, normal, normal_units, &e);
    if (U_FAILURE(e))
        abort();
    out[bytes] = '\0';
    talloc_free(wide);
    talloc_free(normal);
    return out;
}

const char *nfc_text(void *ctx, const char *text)
{
    return normal_text(ctx, text, true);
}

const char *nfd_text(void *ctx, const char *text)
{
    return normal_text(ctx, text, false);
}
