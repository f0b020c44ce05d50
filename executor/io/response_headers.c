#include "executor/io/response_headers.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>
#include <talloc.h>

#include "json/json.h"

/* Appends a name or a value, without surrounding white space, and its NUL. */
static void append(struct response_headers *h, const char *bytes, size_t size, bool lower)
{
    while (size > 0 && isspace((unsigned char)*bytes)) {
        bytes++;
        size--;
    }
    while (size > 0 && isspace((unsigned char)bytes[size - 1]))
        size--;
    for (size_t i = 0; i < size && bytes[i]; i++) {
        char c = bytes[i];
        if ((unsigned char)c >= 0x80)
            c = '?';
        else if (lower)
            c = (char)tolower((unsigned char)c);
        h->text[h->size++] = c;
    }
    h->text[h->size++] = '\0';
}

const char *response_headers_add(void *ctx, struct response_headers *h, const char *line, size_t size)
{
    const char *colon = memchr(line, ':', size);
    h->bytes += size;
    if (h->bytes > HTTP_HEADERS_MAX)
        return "the response headers exceed 32 KiB";
    if (size > 5 && memcmp(line, "HTTP/", 5) == 0) {
        h->begun = true;
        h->size = 0;
        return NULL;
    }
    if (!colon || !h->begun)
        return NULL;
    if (++h->lines > HTTP_HEADER_LINES_MAX)
        return "the response has more than 128 header lines";
    /* the two NULs take the room of the colon and of one more byte */
    size_t needed = h->size + size + 1;
    if (needed > talloc_array_length(h->text))
        h->text = talloc_realloc(ctx, h->text, char, 2 * needed);
    append(h, line, (size_t)(colon - line), true);
    append(h, colon + 1, size - (size_t)(colon - line) - 1, false);
    return NULL;
}

/* The value of the line at `at`, joined with those of later lines of the same name. */
static char *joined_value(void *ctx, const struct response_headers *h, size_t at)
{
    const char *name = h->text + at;
    at += strlen(name) + 1;
    char *value = talloc_strdup(ctx, h->text + at);
    for (at += strlen(h->text + at) + 1; at < h->size;) {
        const char *other = h->text + at;
        const char *more = other + strlen(other) + 1;
        if (strcmp(other, name) == 0)
            value = talloc_asprintf_append_buffer(value, ", %s", more);
        at = (size_t)(more - h->text) + strlen(more) + 1;
    }
    return value;
}

/* A cookie may contain a comma, and each line sets one: RFC 9110, section 5.3, exempts Set-Cookie from
 * joining.
 */
static json_object *separate_values(const struct response_headers *h, const char *name)
{
    json_object *values = json_object_new_array();
    for (size_t at = 0; at < h->size;) {
        const char *other = h->text + at;
        const char *value = other + strlen(other) + 1;
        if (strcmp(other, name) == 0)
            json_object_array_add(values, json_object_new_string(value));
        at = (size_t)(value - h->text) + strlen(value) + 1;
    }
    return values;
}

/* True if the value names a coding that libcurl removes: any but identity. */
static bool is_encoded(const char *value)
{
    for (const char *p = value; *p;) {
        p += strspn(p, ", \t");
        size_t n = strcspn(p, ", \t");
        if (n > 0 && (n != 8 || strncasecmp(p, "identity", 8) != 0))
            return true;
        p += n;
    }
    return false;
}

/* Drops the fields that describe the body as it was transferred, not as it is kept. */
static void drop_transfer_fields(json_object *headers)
{
    const char *coding = json_get_text(headers, "content-encoding");
    if (coding && is_encoded(coding)) {
        json_object_object_del(headers, "content-encoding");
        json_object_object_del(headers, "content-length");
    }
    json_object_object_del(headers, "transfer-encoding");
}

json_object *response_headers_json(void *ctx, const struct response_headers *h, bool decoded)
{
    if (!h->begun)
        return NULL;
    json_object *headers = json_own(ctx, json_object_new_object());
    void *scratch = talloc_new(ctx);
    for (size_t at = 0; at < h->size;) {
        const char *name = h->text + at;
        const char *value = name + strlen(name) + 1;
        if (!json_object_object_get_ex(headers, name, NULL))
            json_object_object_add(headers, name,
                                   strcmp(name, "set-cookie") == 0
                                       ? separate_values(h, name)
                                       : json_object_new_string(joined_value(scratch, h, at)));
        at = (size_t)(value - h->text) + strlen(value) + 1;
    }
    talloc_free(scratch);
    if (decoded)
        drop_transfer_fields(headers);
    return headers;
}

void response_headers_clear(struct response_headers *h)
{
    talloc_free(h->text);
    *h = (struct response_headers){0};
}
