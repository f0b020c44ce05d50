#include "secret/redact.h"

#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>
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
    /* the pairs of bytes with which a needle begins, as bits; a needle of one byte has all pairs */
    uint8_t pairs[256 * 256 / 8];
};

/* One redaction: the budget may be NULL. */
struct redaction {
    const struct redactor *r;
    struct budget *budget;
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
    for (unsigned second = 0; second < 256; second++) {
        unsigned pair = (unsigned char)text[0] * 256U + second;
        if (size == 1 || second == (unsigned char)text[1])
            r->pairs[pair / 8] |= (uint8_t)(1U << pair % 8);
    }
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

/* True if a needle may begin at p. */
static bool may_match(const struct redactor *r, const char *p, size_t left)
{
    unsigned pair = (unsigned char)p[0] * 256U + (left > 1 ? (unsigned char)p[1] : 0);
    return r->pairs[pair / 8] & 1U << pair % 8;
}

/* The length of the longest needle at p, or 0; also 0 beyond the budget. */
static size_t match_needle(const struct redaction *how, const char *p, size_t left)
{
    const struct redactor *r = how->r;
    if (!may_match(r, p, left))
        return 0;
    for (size_t i = 0; i < r->count; i++) {
        const struct needle *n = &r->needles[i];
        if (n->size > left)
            continue;
        /* most needles differ within the first bytes; a whole comparison is charged when it is made */
        size_t head = n->size < BUDGET_BYTES_PER_UNIT ? n->size : BUDGET_BYTES_PER_UNIT;
        if (!budget_charge(how->budget, 1))
            return 0;
        if (memcmp(n->text, p, head) != 0)
            continue;
        if (!budget_charge_bytes(how->budget, n->size))
            return 0;
        if (memcmp(n->text + head, p + head, n->size - head) == 0)
            return n->size;
    }
    return 0;
}

/* Writes the redacted text to `out`, or only counts if that is NULL. Returns its size. */
static size_t write_redacted(const struct redaction *how, const char *text, size_t size, char *out)
{
    size_t written = 0;
    for (size_t i = 0; i < size;) {
        size_t n = match_needle(how, text + i, size - i);
        size_t add_n = n ? sizeof redaction_mark - 1 : 1;
        if (out)
            memcpy(out + written, n ? redaction_mark : text + i, add_n);
        written += add_n;
        i += n ? n : 1;
    }
    return written;
}

static bool contains_secret(const struct redaction *how, const char *text, size_t size)
{
    bool found = false;
    if (!budget_charge_scan(how->budget, size))
        return false;
    for (size_t i = 0; i < size && !found && !budget_is_exceeded(how->budget); i++)
        found = match_needle(how, text + i, size - i) > 0;
    return found;
}

static const char *redacted_text(void *ctx, const struct redaction *how, const char *text, size_t size,
                                 size_t *size_r)
{
    *size_r = size;
    if (!contains_secret(how, text, size))
        return text;
    size_t needed = write_redacted(how, text, size, NULL);
    if (budget_is_exceeded(how->budget))
        return "";
    char *clean = talloc_array(ctx, char, needed + 1);
    struct redaction again = {.r = how->r}; /* the same work, which is bounded by the first pass */
    *size_r = write_redacted(&again, text, size, clean);
    clean[*size_r] = '\0';
    return clean;
}

const char *redact_text(void *ctx, const struct redactor *r, const char *text, size_t size, size_t *size_r)
{
    struct redaction how = {.r = r};
    *size_r = size;
    return r && r->count ? redacted_text(ctx, &how, text, size, size_r) : text;
}

static bool json_contains_secret(const struct redaction *how, json_object *value)
{
    json_type type = json_object_get_type(value);
    if (!budget_charge(how->budget, JSON_NODE_UNITS))
        return false;
    if (type == json_type_object) {
        json_object_object_foreach(value, key, member)
        {
            if (contains_secret(how, key, strlen(key)) || json_contains_secret(how, member))
                return true;
        }
        return false;
    }
    if (type == json_type_array) {
        for (size_t i = 0; i < json_object_array_length(value); i++) {
            if (json_contains_secret(how, json_object_array_get_idx(value, i)))
                return true;
        }
        return false;
    }
    return type == json_type_string &&
           contains_secret(how, json_object_get_string(value), (size_t)json_object_get_string_len(value));
}

static json_object *redacted_json(void *ctx, const struct redaction *how, json_object *value);

/* The redacted name of a member of `value`. Where another member has that name, in `value` or in `clean`, a
 * number is appended: members never merge. *next is the next number to try. */
static const char *redacted_name(void *ctx, const struct redaction *how, json_object *value,
                                 json_object *clean, const char *key, unsigned *next)
{
    size_t size;
    const char *name = redacted_text(ctx, how, key, strlen(key), &size);
    if (name == key)
        return key;
    const char *first = name;
    while (json_object_object_get_ex(clean, name, NULL) || json_object_object_get_ex(value, name, NULL))
        name = talloc_asprintf(ctx, "%s %u", first, (*next)++);
    return name;
}

static json_object *redacted_object(void *ctx, const struct redaction *how, json_object *value)
{
    json_object *clean = json_object_new_object();
    unsigned next = 2;
    json_object_object_foreach(value, key, member)
    {
        const char *name = redacted_name(ctx, how, value, clean, key, &next);
        json_object_object_add(clean, name, redacted_json(ctx, how, member));
    }
    return clean;
}

static json_object *redacted_array(void *ctx, const struct redaction *how, json_object *value)
{
    size_t n = json_object_array_length(value);
    json_object *clean = json_object_new_array_ext((int)n);
    for (size_t i = 0; i < n; i++)
        json_object_array_add(clean, redacted_json(ctx, how, json_object_array_get_idx(value, i)));
    return clean;
}

/* Always a copy, of which the caller owns the one reference. */
static json_object *redacted_json(void *ctx, const struct redaction *how, json_object *value)
{
    json_object *copy = NULL;
    if (json_object_is_type(value, json_type_object))
        return redacted_object(ctx, how, value);
    if (json_object_is_type(value, json_type_array))
        return redacted_array(ctx, how, value);
    if (!value || !json_contains_secret(how, value)) {
        if (value)
            json_object_deep_copy(value, &copy, NULL);
        return copy;
    }
    size_t size;
    const char *text = redacted_text(ctx, how, json_object_get_string(value),
                                     (size_t)json_object_get_string_len(value), &size);
    return json_object_new_string_len(text, (int)size);
}

json_object *redact_json(void *ctx, const struct redactor *r, json_object *value)
{
    return redact_json_within(ctx, r, value, NULL);
}

json_object *redact_json_within(void *ctx, const struct redactor *r, json_object *value,
                                struct budget *budget)
{
    struct redaction how = {.r = r, .budget = budget};
    if (!r || !r->count)
        return value;
    bool found = json_contains_secret(&how, value);
    if (!found)
        return budget_is_exceeded(budget) ? NULL : value;
    void *scratch = talloc_new(NULL);
    json_object *clean = json_own(ctx, redacted_json(scratch, &how, value));
    talloc_free(scratch);
    return budget_is_exceeded(budget) ? NULL : clean;
}
