#include "base/trace.h"

#include <string.h>

enum { FLAGS_AT = 53, VERSION_0_LENGTH = 55, KEY_MAX = 256, VALUE_MAX = 256 };

static bool any_set(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i])
            return true;
    }
    return false;
}

bool trace_is_set(const struct trace_context *t)
{
    return any_set(t->trace_id, TRACE_ID_SIZE);
}

bool trace_has_span(const struct trace_context *t)
{
    return any_set(t->span_id, TRACE_SPAN_SIZE);
}

/* --- reading --- */

/* The value of a lower-case hexadecimal digit; -1: it is none. */
static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(const char *text, uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        int high = hex_value(text[2 * i]);
        int low = high < 0 ? -1 : hex_value(text[2 * i + 1]);
        if (low < 0)
            return false;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

bool trace_parse(const char *text, struct trace_context *t_r)
{
    struct trace_context t = {0};
    uint8_t version;
    size_t length = text ? strnlen(text, TRACE_STATE_MAX + 1) : 0;
    *t_r = t;
    if (length < VERSION_0_LENGTH || length > TRACE_STATE_MAX || !read_hex(text, &version, 1) ||
        version == 0xff)
        return false;
    if (version == 0 ? length != VERSION_0_LENGTH
                     : length > VERSION_0_LENGTH && text[VERSION_0_LENGTH] != '-')
        return false;
    if (text[2] != '-' || text[35] != '-' || text[52] != '-' ||
        !read_hex(text + 3, t.trace_id, TRACE_ID_SIZE) || !read_hex(text + 36, t.span_id, TRACE_SPAN_SIZE) ||
        !read_hex(text + FLAGS_AT, &t.flags, 1))
        return false;
    if (!trace_is_set(&t) || !trace_has_span(&t))
        return false;
    t.flags &= TRACE_SAMPLED;
    *t_r = t;
    return true;
}

struct trace_context trace_from_bytes(const void *bytes, size_t size)
{
    struct trace_context t = {0};
    if (bytes && size == TRACE_CONTEXT_SIZE)
        memcpy(&t, bytes, size);
    return t;
}

struct trace_context trace_of_root(const id *root)
{
    struct trace_context t = {0};
    char digits[2 * TRACE_ID_SIZE];
    size_t n = 0;
    for (const char *p = root->text; *p && n < sizeof digits; p++) {
        if (*p != '-')
            digits[n++] = *p;
    }
    if (n < sizeof digits || !read_hex(digits, t.trace_id, TRACE_ID_SIZE))
        return (struct trace_context){0};
    return t;
}

/* --- tracestate --- */

static bool is_lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* As the second edition of the specification has it, which takes every key of the first. */
static bool key_fits(const char *at, size_t size)
{
    if (size == 0 || size > KEY_MAX || !is_lower_or_digit(*at))
        return false;
    for (size_t i = 0; i < size; i++) {
        if (!is_lower_or_digit(at[i]) && (at[i] == '\0' || !strchr("_-*/@", at[i])))
            return false;
    }
    return true;
}

static bool value_fits(const char *at, size_t size)
{
    if (size == 0 || size > VALUE_MAX || at[size - 1] == ' ')
        return false;
    for (size_t i = 0; i < size; i++) {
        if (at[i] < 0x20 || at[i] > 0x7e || at[i] == '=')
            return false;
    }
    return true;
}

static struct span trimmed(const char *at, size_t size)
{
    while (size > 0 && (*at == ' ' || *at == '\t')) {
        at++;
        size--;
    }
    while (size > 0 && (at[size - 1] == ' ' || at[size - 1] == '\t'))
        size--;
    return (struct span){at, size};
}

/* True if none of the `n` keys is `key`. */
static bool key_is_new(const struct span *keys, size_t n, struct span key)
{
    for (size_t i = 0; i < n; i++) {
        if (keys[i].size == key.size && memcmp(keys[i].at, key.at, key.size) == 0)
            return false;
    }
    return true;
}

bool trace_state_fits(const char *text, size_t size)
{
    struct span keys[TRACE_STATE_MEMBERS_MAX];
    size_t n = 0;
    if (!text || size > TRACE_STATE_MAX)
        return false;
    for (size_t at = 0; at <= size;) {
        const char *comma = at < size ? memchr(text + at, ',', size - at) : NULL;
        size_t end = comma ? (size_t)(comma - text) : size;
        struct span member = trimmed(text + at, end - at);
        at = end + 1;
        if (member.size == 0) /* allowed, and not counted */
            continue;
        const char *equals = memchr(member.at, '=', member.size);
        struct span key = {member.at, equals ? (size_t)(equals - member.at) : 0};
        if (!equals || n == TRACE_STATE_MEMBERS_MAX || !key_fits(key.at, key.size) ||
            !value_fits(equals + 1, member.size - key.size - 1) || !key_is_new(keys, n, key))
            return false;
        keys[n++] = key;
    }
    return n > 0;
}

/* --- writing --- */

static char *write_hex(char *text, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        *text++ = digits[bytes[i] >> 4];
        *text++ = digits[bytes[i] & 15];
    }
    return text;
}

void trace_parent_text(const struct trace_context *t, char text_r[TRACE_PARENT_TEXT])
{
    const uint8_t version = 0, flags = t->flags & TRACE_SAMPLED;
    char *at = write_hex(text_r, &version, 1);
    *at++ = '-';
    at = write_hex(at, t->trace_id, TRACE_ID_SIZE);
    *at++ = '-';
    at = write_hex(at, t->span_id, TRACE_SPAN_SIZE);
    *at++ = '-';
    at = write_hex(at, &flags, 1);
    *at = '\0';
}

void trace_id_text(const struct trace_context *t, char text_r[TRACE_ID_TEXT])
{
    *write_hex(text_r, t->trace_id, TRACE_ID_SIZE) = '\0';
}

/* --- spans --- */

/* The finalizer of MurmurHash3: every bit of the result depends on every bit of `x`. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 33) * 0xff51afd7ed558ccdULL;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53ULL;
    return x ^ x >> 33;
}

static uint64_t hash_execution(const id *execution)
{
    uint64_t hash = 0xcbf29ce484222325ULL; /* FNV-1a */
    for (const char *p = execution->text; *p; p++)
        hash = (hash ^ (uint8_t)*p) * 0x100000001b3ULL;
    return mix(hash);
}

void trace_span_id(const id *execution, struct trace_key key, uint8_t span_r[TRACE_SPAN_SIZE])
{
    uint64_t hash = hash_execution(execution);
    hash = mix(hash ^ ((uint64_t)key.span << 32 | (uint32_t)key.step));
    hash = mix(hash ^ ((uint64_t)(uint32_t)key.item << 32 | (uint32_t)key.try));
    if (hash == 0)
        hash = 1;
    for (int i = 0; i < TRACE_SPAN_SIZE; i++)
        span_r[i] = (uint8_t)(hash >> (56 - 8 * i));
}

struct trace_context trace_below(const struct trace_context *t, const id *execution, struct trace_key key)
{
    struct trace_context below = *t;
    if (trace_is_recorded(t) || !trace_has_span(t))
        trace_span_id(execution, key, below.span_id);
    return below;
}

/* --- sampling --- */

bool trace_parse_ratio(const char *text, uint32_t *millionths_r)
{
    uint32_t value = 0, unit = 1000000;
    if (*text != '0' && *text != '1')
        return false;
    value = (uint32_t)(*text++ - '0') * unit;
    if (*text == '.') {
        for (text++; *text >= '0' && *text <= '9' && unit > 1; text++) {
            unit /= 10;
            value += (uint32_t)(*text - '0') * unit;
        }
        if (text[-1] == '.')
            return false;
    }
    *millionths_r = value;
    return *text == '\0' && value <= 1000000;
}

bool trace_ratio_takes(const id *execution, uint32_t millionths)
{
    return mix(hash_execution(execution)) % 1000000 < millionths;
}
