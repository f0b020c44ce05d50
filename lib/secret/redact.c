#include "secret/redact.h"

#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/uri.h"
#include "json/json.h"

static const char redaction_mark[] = "[redacted]";

/* Shorter pieces of base64 occur by chance in text that does not contain the secret. */
enum { BASE64_CORE_MIN = 8 };

struct needle {
    char *text;
    size_t size;
};

struct redactor {
    /* longest first, so that the longest match is replaced */
    struct needle *needles;
    size_t count;
    /* the bytes with which a needle begins */
    bool first[256];
};

static int wipe_needle(char *text)
{
    sodium_memzero(text, talloc_get_size(text));
    return 0;
}

static bool needle_is_known(const struct redactor *r, const char *text, size_t size)
{
    for (size_t i = 0; i < r->count; i++) {
        if (r->needles[i].size == size && memcmp(r->needles[i].text, text, size) == 0)
            return true;
    }
    return false;
}

static void add_needle(struct redactor *r, const char *text, size_t size)
{
    if (!size || needle_is_known(r, text, size))
        return;
    char *kept = talloc_array(r, char, size);
    memcpy(kept, text, size);
    talloc_set_destructor(kept, wipe_needle);
    r->needles = talloc_realloc(r, r->needles, struct needle, r->count + 1);
    r->needles[r->count++] = (struct needle){.text = kept, .size = size};
    r->first[(unsigned char)text[0]] = true;
}

static void add_percent(struct redactor *r, const char *text, size_t size)
{
    char *encoded = talloc_strdup(r, "");
    uri_percent_encode(&encoded, text, size);
    add_needle(r, encoded, strlen(encoded));
    for (char *p = encoded; (p = strchr(p, '%')); p += 3) {
        for (int i = 1; i < 3; i++)
            p[i] = (char)(p[i] >= 'A' && p[i] <= 'F' ? p[i] + 32 : p[i]);
    }
    add_needle(r, encoded, strlen(encoded));
    talloc_set_destructor(encoded, wipe_needle);
    talloc_free(encoded);
}

static void add_json(struct redactor *r, const char *text, size_t size)
{
    json_object *string = json_object_new_string_len(text, (int)size);
    size_t written;
    const char *quoted = json_object_to_json_string_length(string, JSON_C_TO_STRING_PLAIN, &written);
    add_needle(r, quoted + 1, written - 2); /* some encoders write \/ */
    quoted = json_text(string, &written);
    add_needle(r, quoted + 1, written - 2);
    json_object_put(string);
}

/* Adds the base64 characters that depend on the secret alone if `offset` unknown bytes stand before it. */
static void add_base64(struct redactor *r, const char *text, size_t size, size_t offset, int variant)
{
    size_t room = sodium_base64_ENCODED_LEN(size + offset, variant);
    unsigned char *padded = talloc_zero_array(r, unsigned char, size + offset);
    char *encoded = talloc_array(r, char, room);
    memcpy(padded + offset, text, size);
    sodium_bin2base64(encoded, room, padded, size + offset, variant);
    size_t start = (offset * 8 + 5) / 6;
    size_t end = (size + offset) * 8 / 6;
    if (end >= start + BASE64_CORE_MIN)
        add_needle(r, encoded + start, end - start);
    sodium_memzero(padded, size + offset);
    sodium_memzero(encoded, room);
    talloc_free(padded);
    talloc_free(encoded);
}

static int longer_first(const void *a, const void *b)
{
    size_t x = ((const struct needle *)a)->size;
    size_t y = ((const struct needle *)b)->size;
    return x < y ? 1 : x > y ? -1 : 0;
}

struct redactor *redactor_new(void *ctx, const struct secret_value *secrets, size_t count)
{
    struct redactor *r = talloc_zero(ctx, struct redactor);
    for (size_t i = 0; i < count; i++) {
        const struct secret_value *s = &secrets[i];
        if (!s->size)
            continue;
        add_needle(r, s->text, s->size);
        add_percent(r, s->text, s->size);
        add_json(r, s->text, s->size);
        for (size_t offset = 0; offset < 3; offset++) {
            add_base64(r, s->text, s->size, offset, sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
            add_base64(r, s->text, s->size, offset, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
        }
    }
    if (r->count)
        qsort(r->needles, r->count, sizeof *r->needles, longer_first);
    return r;
}

/* The length of the longest needle at p, or 0. */
static size_t match_needle(const struct redactor *r, const char *p, size_t left)
{
    if (!r->first[(unsigned char)*p])
        return 0;
    for (size_t i = 0; i < r->count; i++) {
        if (r->needles[i].size <= left && memcmp(r->needles[i].text, p, r->needles[i].size) == 0)
            return r->needles[i].size;
    }
    return 0;
}

/* Writes the redacted text to `out`, or only counts if that is NULL. Returns its size. */
static size_t write_redacted(const struct redactor *r, const char *text, size_t size, char *out)
{
    size_t written = 0;
    for (size_t i = 0; i < size;) {
        size_t n = match_needle(r, text + i, size - i);
        size_t add_n = n ? sizeof redaction_mark - 1 : 1;
        if (out)
            memcpy(out + written, n ? redaction_mark : text + i, add_n);
        written += add_n;
        i += n ? n : 1;
    }
    return written;
}

static bool contains_secret(const struct redactor *r, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (match_needle(r, text + i, size - i))
            return true;
    }
    return false;
}

const char *redact_text(void *ctx, const struct redactor *r, const char *text, size_t size, size_t *size_r)
{
    *size_r = size;
    if (!r || !r->count || !contains_secret(r, text, size))
        return text;
    *size_r = write_redacted(r, text, size, NULL);
    char *clean = talloc_array(ctx, char, *size_r + 1);
    write_redacted(r, text, size, clean);
    clean[*size_r] = '\0';
    return clean;
}

static bool json_contains_secret(const struct redactor *r, json_object *value)
{
    json_type type = json_object_get_type(value);
    if (type == json_type_object) {
        json_object_object_foreach(value, key, member)
        {
            if (contains_secret(r, key, strlen(key)) || json_contains_secret(r, member))
                return true;
        }
        return false;
    }
    if (type == json_type_array) {
        for (size_t i = 0; i < json_object_array_length(value); i++) {
            if (json_contains_secret(r, json_object_array_get_idx(value, i)))
                return true;
        }
        return false;
    }
    if (type == json_type_string)
        return contains_secret(r, json_object_get_string(value), (size_t)json_object_get_string_len(value));
    size_t size = 0;
    const char *text = type == json_type_int || type == json_type_double ? json_text(value, &size) : "";
    return contains_secret(r, text, size);
}

static json_object *redacted_json(void *ctx, const struct redactor *r, json_object *value);

static json_object *redacted_object(void *ctx, const struct redactor *r, json_object *value)
{
    json_object *clean = json_object_new_object();
    json_object_object_foreach(value, key, member)
    {
        size_t size;
        json_object_object_add(clean, redact_text(ctx, r, key, strlen(key), &size),
                               redacted_json(ctx, r, member));
    }
    return clean;
}

static json_object *redacted_array(void *ctx, const struct redactor *r, json_object *value)
{
    size_t n = json_object_array_length(value);
    json_object *clean = json_object_new_array_ext((int)n);
    for (size_t i = 0; i < n; i++)
        json_object_array_add(clean, redacted_json(ctx, r, json_object_array_get_idx(value, i)));
    return clean;
}

/* Always a copy, of which the caller owns the one reference. */
static json_object *redacted_json(void *ctx, const struct redactor *r, json_object *value)
{
    json_object *copy = NULL;
    if (json_object_is_type(value, json_type_object))
        return redacted_object(ctx, r, value);
    if (json_object_is_type(value, json_type_array))
        return redacted_array(ctx, r, value);
    if (!value || !json_contains_secret(r, value)) {
        if (value)
            json_object_deep_copy(value, &copy, NULL);
        return copy;
    }
    if (!json_object_is_type(value, json_type_string))
        return json_object_new_string(redaction_mark);
    size_t size;
    const char *text =
        redact_text(ctx, r, json_object_get_string(value), (size_t)json_object_get_string_len(value), &size);
    return json_object_new_string_len(text, (int)size);
}

json_object *redact_json(void *ctx, const struct redactor *r, json_object *value)
{
    if (!r || !r->count || !json_contains_secret(r, value))
        return value;
    void *scratch = talloc_new(NULL);
    json_object *clean = json_own(ctx, redacted_json(scratch, r, value));
    talloc_free(scratch);
    return clean;
}
