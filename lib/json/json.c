#include "json/json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/utf8.h"
#include "json/json_check.h"

static const char byte_order_mark[] = "\xef\xbb\xbf";
static const char out_of_memory[] = "out of memory";

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

/* What is wrong with the bytes, before json-c reads them; NULL: nothing. */
static const char *check_bytes(void *ctx, const char *text, size_t size)
{
    if (size > 64U * 1024 * 1024)
        return "larger than 64 MiB";
    const char *nul = memchr(text, '\0', size);
    if (nul)
        return talloc_asprintf(ctx, "a NUL byte at byte %zu; a NUL in a string is written \\u0000",
                               (size_t)(nul - text));
    size_t valid = utf8_valid_size(text, size); /* json-c checks only the lengths of sequences */
    if (valid < size)
        return talloc_asprintf(ctx, "not valid UTF-8 at byte %zu", valid);
    return NULL;
}

/* Parses with json-c alone. Returns what is wrong, NULL if nothing. */
static const char *parse_text(void *ctx, const char *text, size_t size, int depth, json_object **value_r)
{
    struct json_tokener *t = json_tokener_new_ex(depth + 1);
    if (!t)
        return out_of_memory;
    json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8 |
                                  JSON_TOKENER_ALLOW_TRAILING_CHARS);
    *value_r = json_tokener_parse_ex(t, text, (int)size);
    enum json_tokener_error e = json_tokener_get_error(t);
    size_t used = json_tokener_get_parse_end(t);
    if (e == json_tokener_continue) { /* a bare number or word ends only at the next byte */
        *value_r = json_tokener_parse_ex(t, " ", 1);
        e = json_tokener_get_error(t);
        used = size;
    }
    json_tokener_free(t);
    if (e != json_tokener_success)
        return json_error_sentence(ctx, e, used, depth);
    while (used < size && strchr(" \t\r\n", text[used]))
        used++;
    return used < size ? talloc_asprintf(ctx, "unexpected data after the JSON text at byte %zu", used) : NULL;
}

static size_t count_members(json_object *value)
{
    size_t count = 0;
    if (json_object_is_type(value, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(value); i++)
            count += count_members(json_object_array_get_idx(value, i));
    } else if (json_object_is_type(value, json_type_object)) {
        json_object_object_foreach(value, name, member)
        {
            (void)name;
            count += 1 + count_members(member);
        }
    }
    return count;
}

/* Walks the numbers of `value` in the order of the text and returns it, with each integer "-0" replaced by a
 * number that is written "-0". check->numbers counts from 0, check->minus_zeros is used up. */
static json_object *restore_signs(json_object *value, struct json_check *check)
{
    json_type type = json_object_get_type(value);
    if (type == json_type_array) {
        for (size_t i = 0; i < json_object_array_length(value); i++) {
            json_object *old = json_object_array_get_idx(value, i), *item = restore_signs(old, check);
            if (item != old)
                json_object_array_put_idx(value, i, item);
        }
    } else if (type == json_type_object) {
        json_object_object_foreach(value, name, old)
        {
            json_object *member = restore_signs(old, check);
            if (member != old)
                json_object_object_add(value, name, member);
        }
    } else if ((type == json_type_int || type == json_type_double) && check->minus_zeros_n > 0 &&
               check->numbers++ == *check->minus_zeros) {
        check->minus_zeros++;
        check->minus_zeros_n--;
        return json_object_new_double_s(-0.0, "-0");
    }
    return value;
}

/* Checks and completes the value that json-c has made of the text. Returns what is wrong, NULL if nothing. */
static const char *check_value(void *ctx, const char *text, size_t size, struct json_check *check,
                               json_object **value)
{
    const char *why = json_check_text(ctx, text, size, check);
    if (why || (check->tolerant && check->minus_zeros_n == 0))
        return why;
    bool unique = check->members == count_members(*value);
    if (!unique && !check->tolerant)
        return json_check_names(ctx, text, size);
    size_t *list = check->minus_zeros;
    check->numbers = 0;
    json_object *restored = unique && list ? restore_signs(*value, check) : *value;
    if (restored != *value)
        json_object_put(*value);
    *value = restored;
    talloc_free(list);
    return NULL;
}

static enum err parse_json(void *ctx, const char *text, size_t size, struct json_check check,
                           json_object **value_r, const char **why_r)
{
    json_object *value = NULL;
    *value_r = NULL;
    *why_r = check_bytes(ctx, text, size);
    if (!*why_r)
        *why_r = parse_text(ctx, text, size, check.depth_max, &value);
    if (!*why_r)
        *why_r = check_value(ctx, text, size, &check, &value);
    if (*why_r) {
        json_object_put(value);
        return *why_r == out_of_memory ? ERR_INTERNAL : ERR_INVALID;
    }
    *value_r = json_own(ctx, value);
    return OK;
}

static bool has_byte_order_mark(const char *text, size_t size)
{
    return size >= sizeof byte_order_mark - 1 &&
           memcmp(text, byte_order_mark, sizeof byte_order_mark - 1) == 0;
}

/* Counted before anything is built, because a tree takes up to 250 times the bytes of its text. */
size_t json_count_values(const char *text, size_t size)
{
    size_t values = 1;
    bool in_string = false;
    for (size_t i = 0; i < size && values <= JSON_VALUES_MAX; i++) {
        char c = text[i];
        if (c == '"')
            in_string = !in_string;
        else if (in_string)
            i += c == '\\';
        else if (c == '{')
            values += JSON_OBJECT_WEIGHT;
        else
            values += c == ',' || c == '[';
    }
    return values;
}

bool json_has_too_many_values(const char *text, size_t size)
{
    return json_count_values(text, size) > JSON_VALUES_MAX;
}

/* What json-c 0.16 and malloc take, measured with malloc_usable_size. */
enum {
    TREE_OBJECT_BYTES = 64 + 96 + 656,
    TREE_ARRAY_BYTES = 64 + 80,
    /* a value with its place in an array, and the text that json-c keeps of a fraction */
    TREE_VALUE_BYTES = 64 + 8 + 32,
    /* a member's name and its place in an object that has doubled */
    TREE_MEMBER_BYTES = 24 + 80,
};

size_t json_tree_estimate(const char *text, size_t size)
{
    size_t bytes = TREE_VALUE_BYTES + size;
    bool in_string = false;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (c == '"')
            in_string = !in_string;
        else if (in_string)
            i += c == '\\';
        else if (c == '{')
            bytes += TREE_OBJECT_BYTES;
        else if (c == '[')
            bytes += TREE_ARRAY_BYTES;
        else if (c == ':')
            bytes += TREE_MEMBER_BYTES;
        else if (c == ',')
            bytes += TREE_VALUE_BYTES;
    }
    return bytes;
}

enum err json_parse(void *ctx, const char *text, size_t size, int depth, json_object **value_r,
                    const char **why_r)
{
    *value_r = NULL;
    if (has_byte_order_mark(text, size)) {
        *why_r = "it begins with a byte order mark (the bytes EF BB BF); send it without";
        return ERR_INVALID;
    }
    if (json_has_too_many_values(text, size)) {
        *why_r = "it has more than 300000 values, of which each object counts as 3";
        return ERR_LIMIT;
    }
    return parse_json(ctx, text, size, (struct json_check){.depth_max = depth}, value_r, why_r);
}

enum err json_parse_tolerant(void *ctx, const char *text, size_t size, int depth, json_object **value_r,
                             const char **why_r)
{
    size_t skip = has_byte_order_mark(text, size) ? sizeof byte_order_mark - 1 : 0;
    struct json_check check = {.depth_max = depth, .tolerant = true};
    return parse_json(ctx, text + skip, size - skip, check, value_r, why_r);
}

json_object *json_get(json_object *object, const char *name)
{
    json_object *value = NULL;
    if (json_object_is_type(object, json_type_object))
        json_object_object_get_ex(object, name, &value);
    return value;
}

struct span json_span(json_object *value)
{
    if (!json_object_is_type(value, json_type_string))
        return (struct span){0};
    return (struct span){json_object_get_string(value), (size_t)json_object_get_string_len(value)};
}

const char *json_plain(json_object *value)
{
    struct span s = json_span(value);
    return s.at && !memchr(s.at, '\0', s.size) ? s.at : NULL;
}

const char *json_get_text(json_object *object, const char *name)
{
    return json_plain(json_get(object, name));
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
