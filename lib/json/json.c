#include "json/json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/utf8.h"

static int json_holder_destroy(json_object **holder)
{
    json_object_put(*holder);
    return 0;
}

json_object *json_own(void *ctx, json_object *value)
{
    json_object **holder = talloc(ctx, json_object *);
    *holder = value;
    talloc_set_destructor(holder, json_holder_destroy);
    return value;
}

/* True if the integer token at [p, end) fits 64 bits, signed or unsigned. */
static bool integer_fits(const char *p, const char *end)
{
    bool negative = *p == '-';
    if (negative)
        p++;
    const char *limit = negative ? "9223372036854775808" : "18446744073709551615";
    size_t n = (size_t)(end - p);
    size_t limit_n = strlen(limit);
    return n < limit_n || (n == limit_n && memcmp(p, limit, n) <= 0);
}

/* Returns the end of the string that begins at p, or NULL if it holds a control character, which json-c would
 * accept. */
static const char *skip_string(const char *p, const char *end)
{
    for (p++; p < end && *p != '"'; p++) {
        if ((unsigned char)*p < 0x20)
            return NULL;
        if (*p == '\\')
            p++;
    }
    return p + 1;
}

static const char *skip_digits(const char *p, const char *end)
{
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

/* True if [p, end) is a number of RFC 8259, section 6; json-c accepts more, such as `1.`. */
static bool is_number_token(const char *p, const char *end)
{
    p += p < end && *p == '-';
    const char *digits = p;
    p = skip_digits(p, end);
    if (p == digits || (*digits == '0' && p - digits > 1))
        return false;
    if (p < end && *p == '.') {
        digits = ++p;
        p = skip_digits(p, end);
        if (p == digits)
            return false;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        p += p < end && (*p == '+' || *p == '-');
        digits = p;
        p = skip_digits(p, end);
        if (p == digits)
            return false;
    }
    return p == end;
}

/* Returns the end of the number that begins at p, and sets *why_r if json-c would change its value. json-c
 * has accepted the text before, so the number ends at the first character that cannot belong to a number. */
static const char *skip_number(const char *p, const char *end, const char **why_r)
{
    enum { LONGEST = 400 };
    const char *start = p;
    bool integer = true;
    for (; p < end && *p && strchr("+-.eE0123456789", *p); p++)
        integer = integer && !strchr(".eE", *p);
    char number[LONGEST + 1];
    if (!is_number_token(start, p)) {
        *why_r = "malformed number";
    } else if (integer) {
        if (!integer_fits(start, p))
            *why_r = "an integer does not fit in 64 bits";
    } else if (p - start > LONGEST) {
        *why_r = "a number is too long";
    } else {
        memcpy(number, start, (size_t)(p - start));
        number[p - start] = '\0';
        if (isinf(strtod(number, NULL)))
            *why_r = "a number is out of range";
    }
    return p;
}

/* Scans the raw text for what json-c accepts but JSON forbids (control characters in strings, keys in single
 * quotes, NaN, Infinity) and for numbers that json-c would change. Also counts the depth, because json-c
 * counts empty and non-empty containers differently. Returns what is wrong, or NULL. */
static const char *json_check_raw(const char *p, const char *end, int depth_max)
{
    const char *why = NULL;
    int depth = 0;
    while (p < end && !why) {
        if (*p == '"') {
            p = skip_string(p, end);
            if (!p)
                return "unescaped control character in a string";
        } else if (*p >= '0' && *p <= '9') {
            p = skip_number(p, end, &why);
        } else if (*p == '-' && end - p > 1 && p[1] != 'I') {
            p = skip_number(p, end, &why);
        } else if ((*p == '{' || *p == '[') && ++depth > depth_max) {
            why = "nested too deeply";
        } else if (*p == '\'') {
            why = "strings need double quotes";
        } else if (*p == 'N' || *p == 'I') {
            why = "NaN and Infinity are not JSON";
        } else {
            depth -= *p == '}' || *p == ']';
            p++;
        }
    }
    return why;
}

/* True if an object key holds an escaped NUL: json-c would cut the key there, and two different keys would
 * become one. */
static bool json_has_nul_key(const char *p, const char *end)
{
    while (p < end) {
        if (*p++ != '"')
            continue;
        bool nul = false;
        for (; p < end && *p != '"'; p++) {
            if (*p != '\\')
                continue;
            nul = nul || (end - p >= 6 && memcmp(p + 1, "u0000", 5) == 0);
            p++;
        }
        p++;
        while (p < end && strchr(" \t\r\n", *p) && *p)
            p++;
        if (nul && p < end && *p == ':')
            return true;
    }
    return false;
}

static const char *json_error_sentence(void *ctx, enum json_tokener_error e, size_t at, int depth)
{
    if (e == json_tokener_error_depth)
        return talloc_asprintf(ctx, "nested more than %d levels deep", depth);
    if (e == json_tokener_error_parse_utf8_string)
        return talloc_asprintf(ctx, "not valid UTF-8 at byte %zu", at);
    if (e == json_tokener_continue)
        return "unexpected end of the JSON text";
    return talloc_asprintf(ctx, "not valid JSON at byte %zu: %s", at, json_tokener_error_desc(e));
}

enum err json_parse(void *ctx, const char *text, size_t size, int depth, json_object **value_r,
                    const char **why_r)
{
    *value_r = NULL;
    if (size > 64U * 1024 * 1024) {
        *why_r = "too large";
        return ERR_INVALID;
    }
    if (memchr(text, '\0', size)) {
        *why_r = "the JSON text contains a NUL byte";
        return ERR_INVALID;
    }
    if (!utf8_is_valid(text, size)) { /* json-c checks only the lengths of sequences */
        *why_r = "not valid UTF-8";
        return ERR_INVALID;
    }
    struct json_tokener *t = json_tokener_new_ex(depth + 1);
    if (!t) {
        *why_r = "out of memory";
        return ERR_INTERNAL;
    }
    json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8 |
                                  JSON_TOKENER_ALLOW_TRAILING_CHARS);
    json_object *value = json_tokener_parse_ex(t, text, (int)size);
    enum json_tokener_error e = json_tokener_get_error(t);
    size_t used = json_tokener_get_parse_end(t);
    if (e == json_tokener_continue) { /* a bare number or word ends only at the next byte */
        value = json_tokener_parse_ex(t, " ", 1);
        e = json_tokener_get_error(t);
        used = size;
    }
    json_tokener_free(t);
    if (e != json_tokener_success) {
        *why_r = json_error_sentence(ctx, e, used, depth);
        return ERR_INVALID;
    }
    const char *why = json_check_raw(text, text + size, depth);
    size_t rest = used < size ? used : size;
    while (rest < size && strchr(" \t\r\n", text[rest]))
        rest++;
    if (!why && rest < size && used < size)
        why = talloc_asprintf(ctx, "unexpected data after the JSON text at byte %zu", rest);
    if (!why && json_has_nul_key(text, text + size))
        why = "an object key contains a NUL character";
    if (why) {
        json_object_put(value);
        *why_r = why;
        return ERR_INVALID;
    }
    *value_r = json_own(ctx, value);
    return OK;
}

json_object *json_get(json_object *object, const char *name)
{
    json_object *value = NULL;
    if (json_object_is_type(object, json_type_object))
        json_object_object_get_ex(object, name, &value);
    return value;
}

const char *json_get_text(json_object *object, const char *name)
{
    json_object *value = json_get(object, name);
    return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : NULL;
}

const char *json_text(json_object *value, size_t *size_r)
{
    size_t size;
    const char *text = json_object_to_json_string_length(
        value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, size_r ? size_r : &size);
    return text;
}

/* Exact also for a mixture of int64, uint64 and double: a double that is an integer is compared as that
 * integer. */
static bool json_number_equal(json_object *a, json_object *b)
{
    bool a_int = json_object_is_type(a, json_type_int);
    bool b_int = json_object_is_type(b, json_type_int);
    if (a_int && b_int) {
        int64_t ai = json_object_get_int64(a);
        int64_t bi = json_object_get_int64(b);
        if (ai != bi || ai != INT64_MAX)
            return ai == bi;
        return json_object_get_uint64(a) == json_object_get_uint64(b);
    }
    if (!a_int && !b_int)
        return json_object_get_double(a) == json_object_get_double(b);
    json_object *i = a_int ? a : b;
    double d = json_object_get_double(a_int ? b : a);
    if (floor(d) != d || d < -9223372036854775808.0 || d >= 18446744073709551616.0)
        return false;
    if (d < 0)
        return json_object_get_int64(i) == (int64_t)d;
    int64_t as_signed = json_object_get_int64(i);
    return as_signed >= 0 && json_object_get_uint64(i) == (uint64_t)d;
}

static bool json_is_number(json_object *v)
{
    return json_object_is_type(v, json_type_int) || json_object_is_type(v, json_type_double);
}

static bool json_array_equal(json_object *a, json_object *b, struct budget *budget)
{
    size_t n = json_object_array_length(a);
    if (n != json_object_array_length(b))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!json_equal_within(json_object_array_get_idx(a, i), json_object_array_get_idx(b, i), budget))
            return false;
    }
    return true;
}

static bool json_object_equal_members(json_object *a, json_object *b, struct budget *budget)
{
    if (json_object_object_length(a) != json_object_object_length(b))
        return false;
    json_object_object_foreach(a, key, value)
    {
        json_object *other;
        if (!budget_charge(budget, JSON_LOOKUP_UNITS) || !budget_charge_scan(budget, strlen(key)) ||
            !json_object_object_get_ex(b, key, &other) || !json_equal_within(value, other, budget))
            return false;
    }
    return true;
}

static bool json_string_equal(json_object *a, json_object *b, struct budget *budget)
{
    int n = json_object_get_string_len(a);
    return n == json_object_get_string_len(b) && budget_charge_bytes(budget, (size_t)n) &&
           memcmp(json_object_get_string(a), json_object_get_string(b), (size_t)n) == 0;
}

bool json_equal(json_object *a, json_object *b)
{
    return json_equal_within(a, b, NULL);
}

bool json_equal_within(json_object *a, json_object *b, struct budget *budget)
{
    if (!budget_charge(budget, JSON_NODE_UNITS))
        return false;
    if (a == b)
        return true;
    if (json_is_number(a) && json_is_number(b))
        return json_number_equal(a, b);
    json_type type = json_object_get_type(a);
    if (type != json_object_get_type(b))
        return false;
    if (type == json_type_array)
        return json_array_equal(a, b, budget);
    if (type == json_type_object)
        return json_object_equal_members(a, b, budget);
    if (type == json_type_string)
        return json_string_equal(a, b, budget);
    return json_object_get_boolean(a) == json_object_get_boolean(b);
}

/* Unescapes one reference token into `token`; false if an escape is malformed. */
static bool pointer_token(const char *p, size_t n, char *token)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] != '~') {
            *token++ = p[i];
        } else {
            i++;
            if (i >= n || (p[i] != '0' && p[i] != '1'))
                return false;
            *token++ = p[i] == '0' ? '~' : '/';
        }
    }
    *token = '\0';
    return true;
}

static bool pointer_step(json_object **at, const char *token)
{
    if (json_object_is_type(*at, json_type_object))
        return json_object_object_get_ex(*at, token, at);
    if (!json_object_is_type(*at, json_type_array) || !*token || (token[0] == '0' && token[1]))
        return false;
    size_t index = 0;
    for (const char *p = token; *p; p++) {
        if (*p < '0' || *p > '9' || p - token > 9)
            return false;
        index = index * 10 + (size_t)(*p - '0');
    }
    if (index >= json_object_array_length(*at))
        return false;
    *at = json_object_array_get_idx(*at, index);
    return true;
}

json_object *json_find(json_object *root, const char *pointer, bool *found_r)
{
    return json_find_within(root, pointer, found_r, NULL);
}

json_object *json_find_within(json_object *root, const char *pointer, bool *found_r, struct budget *budget)
{
    *found_r = false;
    if (!budget_charge_scan(budget, strlen(pointer)))
        return NULL;
    json_object *at = root;
    char *token = malloc(strlen(pointer) + 1);
    if (!token)
        return NULL;
    const char *p = pointer;
    while (*p == '/') {
        size_t n = strcspn(++p, "/");
        p += n;
        if (!budget_charge(budget, JSON_LOOKUP_UNITS) || !pointer_token(p - n, n, token) ||
            !pointer_step(&at, token)) {
            free(token);
            return NULL;
        }
    }
    free(token);
    *found_r = *p == '\0';
    return *found_r ? at : NULL;
}

char *json_pointer_join(void *ctx, const char *pointer, const char *token)
{
    size_t pointer_size = strlen(pointer);
    size_t token_size = strnlen(token, JSON_POINTER_MAX);
    if (pointer_size + 2 * token_size + 1 > JSON_POINTER_MAX)
        return talloc_strdup(ctx, pointer);
    char *joined = talloc_array(ctx, char, pointer_size + 2 * token_size + 2);
    char *out = stpcpy(joined, pointer);
    *out++ = '/';
    for (const char *p = token; *p; p++) {
        if (*p == '~' || *p == '/') {
            *out++ = '~';
            *out++ = *p == '~' ? '0' : '1';
        } else {
            *out++ = *p;
        }
    }
    *out = '\0';
    return joined;
}
