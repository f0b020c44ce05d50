#include "executor/io/response_body.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <talloc.h>
#include <unicode/ucnv.h>
#include <unicode/ustring.h>

#include "base/field.h"
#include "base/utf8.h"
#include "json/json.h"

static bool is_json_media_type(const char *content_type)
{
    const char *type = content_type + strspn(content_type, " \t");
    size_t n = strcspn(type, "; \t,");
    return (n == 16 && strncasecmp(type, "application/json", n) == 0) ||
           (n == 9 && strncasecmp(type, "text/json", n) == 0) ||
           (n > 5 && strncasecmp(type + n - 5, "+json", 5) == 0);
}

/* ICU looks for a file of the name where it does not know the charset: a server must not name a path. */
static bool is_charset_name(const char *name)
{
    enum { NAME_MAX_BYTES = 40 }; /* RFC 2978, section 2.3 */
    size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_:");
    return n > 0 && n <= NAME_MAX_BYTES && !name[n];
}

/* The charset parameter, of ctx; NULL: none, or UTF-8, of which US-ASCII is a part. */
static const char *foreign_charset(void *ctx, const char *content_type)
{
    struct span rest = span_text(content_type);
    char *name, *value;
    while (field_next_parameter(ctx, &rest, &name, &value)) {
        if (strcasecmp(name, "charset") == 0)
            return value && is_charset_name(value) && strcasecmp(value, "utf-8") != 0 &&
                           strcasecmp(value, "utf8") != 0 && strcasecmp(value, "us-ascii") != 0
                       ? value
                       : NULL;
    }
    return NULL;
}

/* The body in UTF-8, of ctx. NULL: ICU does not know the charset, or the body is not valid in it. */
static const char *decoded_text(void *ctx, const char *charset, const char *body, size_t size, size_t *size_r)
{
    /* a byte becomes at most one code unit, except in charsets with combining sequences; a unit 3 bytes */
    enum { UNITS_PER_BYTE = 2, BYTES_PER_UNIT = 3 };
    UErrorCode e = U_ZERO_ERROR;
    UConverter *converter = ucnv_open(charset, &e);
    if (U_FAILURE(e))
        return NULL;
    int32_t units_max = (int32_t)size * UNITS_PER_BYTE + 1, bytes_max = units_max * BYTES_PER_UNIT, bytes;
    UChar *units = talloc_array(ctx, UChar, units_max);
    char *text = talloc_array(ctx, char, bytes_max);
    ucnv_setToUCallBack(converter, UCNV_TO_U_CALLBACK_STOP, NULL, NULL, NULL, &e);
    int32_t n = ucnv_toUChars(converter, units, units_max, body, (int32_t)size, &e);
    u_strToUTF8(text, bytes_max, &bytes, units, n, &e);
    ucnv_close(converter);
    talloc_free(units);
    if (U_FAILURE(e))
        return NULL;
    *size_r = (size_t)bytes;
    return text;
}

static json_object *text_value(void *ctx, const char *bytes, size_t size, bool *replaced_r)
{
    char *text = talloc_array(ctx, char, size * 3 + 1);
    size_t n = utf8_sanitize(text, bytes, size, true);
    *replaced_r = n != size || memcmp(text, bytes, n) != 0;
    return json_object_new_string_len(text, (int)n);
}

static const char *parse_json(void *ctx, const char *body, size_t size, json_object **value_r)
{
    const char *why = "it has more than 300000 values, of which each object counts as 3";
    if (!json_has_too_many_values(body, size) &&
        json_parse_tolerant(ctx, body, size, RESPONSE_DEPTH_MAX, value_r, &why) == OK)
        return NULL;
    return talloc_asprintf(ctx, "the body could not be parsed as JSON: %s", why);
}

json_object *response_body_value(void *ctx, const char *content_type, const char *body, size_t size,
                                 const char **why_r)
{
    json_object *value = NULL;
    bool replaced;
    *why_r = NULL;
    if (size == 0)
        return NULL;
    const char *charset = foreign_charset(ctx, content_type);
    const char *decoded = charset ? decoded_text(ctx, charset, body, size, &size) : NULL;
    if (decoded)
        body = decoded;
    if (is_json_media_type(content_type)) {
        *why_r = parse_json(ctx, body, size, &value);
        if (!*why_r)
            return json_object_get(value);
    }
    value = text_value(ctx, body, size, &replaced);
    if (replaced && !*why_r)
        *why_r = "the body is not a text in UTF-8: U+FFFD replaces bytes of it";
    return value;
}
