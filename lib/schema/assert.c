#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/utf8.h"
#include "schema/evaluate.h"

/* What checks cost (measured). A double takes 2 µs to become decimal; a format is checked at 2 to 4 ns a
 * byte; a hash takes a multiplication for each byte; sorting takes 10 ns for each item and level. */
enum { MULTIPLE_CHECKS = 60, FORMAT_BYTE_SCANS = 4, HASH_BYTE_SCANS = 2, SORTED_PER_CHECK = 5 };

bool assert_type(struct schema_eval *e, const struct keyword *k, json_object *value, struct marks *marks)
{
    return (k->type_mask & eval_type(value)) || eval_fail(e, "must be %s", k->text);
}

bool assert_enum(struct schema_eval *e, const struct keyword *k, json_object *value, struct marks *marks)
{
    size_t count = json_object_array_length(k->value);
    for (size_t i = 0; i < count && eval_charge(e, 1); i++) {
        if (json_equal_within(value, json_object_array_get_idx(k->value, i), &e->budget))
            return true;
        if (!eval_within_budget(e))
            return false;
    }
    return eval_fail(e, "must be one of %s", k->text);
}

bool assert_const(struct schema_eval *e, const struct keyword *k, json_object *value, struct marks *marks)
{
    bool equal = json_equal_within(value, k->value, &e->budget);
    return eval_within_budget(e) && (equal || eval_fail(e, "must be %s", k->text));
}

/* Exact: a long double (at least 64 bits of mantissa) represents each 64-bit integer and each double. */
static long double number_of(json_object *value)
{
    if (json_object_is_type(value, json_type_double))
        return json_object_get_double(value);
    int64_t i = json_object_get_int64(value);
    return i < 0 ? (long double)i : (long double)json_object_get_uint64(value);
}

/* A number as digits × 10^exponent without trailing zeros: the shortest decimal form that reads back as the
 * same number, and so most likely what was written. */
struct decimal {
    uint64_t digits;
    int exponent;
};

static struct decimal decimal_of(json_object *value)
{
    struct decimal d = {0, 0};
    if (json_object_is_type(value, json_type_int)) {
        int64_t i = json_object_get_int64(value);
        d.digits = i < 0 ? 0 - (uint64_t)i : json_object_get_uint64(value);
    } else {
        char text[40];
        double number = fabs(json_object_get_double(value));
        /* finds the shortest form that reads back as the same number */
        for (int precision = 14; precision <= 16; precision++) {
            snprintf(text, sizeof text, "%.*e", precision, number);
            if (strtod(text, NULL) == number)
                break;
        }
        char *exponent = strchr(text, 'e');
        d.exponent = atoi(exponent + 1);
        for (const char *p = text; p < exponent; p++) {
            if (*p >= '0' && *p <= '9')
                d.digits = d.digits * 10 + (uint64_t)(*p - '0');
        }
        d.exponent -= (int)(exponent - text) - 2; /* digits after the decimal point */
    }
    while (d.digits != 0 && d.digits % 10 == 0) {
        d.digits /= 10;
        d.exponent++;
    }
    return d;
}

/* Exact decimal arithmetic, in about 2 µs and 40 ns for each decimal place between the two: 0.3 is a multiple
 * of 0.1, and 1e308 is not a multiple of 0.123456789. */
static bool is_multiple(json_object *value, json_object *of)
{
    struct decimal a = decimal_of(value);
    struct decimal b = decimal_of(of);
    if (a.digits == 0)
        return true;
    if (b.digits == 0 || a.exponent < b.exponent) /* a has a lower decimal place than any multiple of b */
        return false;
    unsigned __int128 rest = a.digits % b.digits;
    for (int i = a.exponent - b.exponent; i > 0 && rest != 0; i--)
        rest = rest * 10 % b.digits;
    return rest == 0;
}

bool assert_multiple_of(struct schema_eval *e, const struct keyword *k, json_object *value,
                        struct marks *marks)
{
    return eval_charge(e, MULTIPLE_CHECKS) &&
           (is_multiple(value, k->value) || eval_fail(e, "must be a multiple of %s", k->text));
}

bool assert_maximum(struct schema_eval *e, const struct keyword *k, json_object *value, struct marks *marks)
{
    return number_of(value) <= k->number || eval_fail(e, "must be at most %s", k->text);
}

bool assert_exclusive_maximum(struct schema_eval *e, const struct keyword *k, json_object *value,
                              struct marks *marks)
{
    return number_of(value) < k->number || eval_fail(e, "must be less than %s", k->text);
}

bool assert_minimum(struct schema_eval *e, const struct keyword *k, json_object *value, struct marks *marks)
{
    return number_of(value) >= k->number || eval_fail(e, "must be at least %s", k->text);
}

bool assert_exclusive_minimum(struct schema_eval *e, const struct keyword *k, json_object *value,
                              struct marks *marks)
{
    return number_of(value) > k->number || eval_fail(e, "must be more than %s", k->text);
}

/* Length in code points; false if the budget is used up. */
static bool text_length(struct schema_eval *e, json_object *value, uint64_t *length_r)
{
    size_t size = (size_t)json_object_get_string_len(value);
    *length_r = 0;
    if (!eval_charge_scan(e, size))
        return false;
    *length_r = utf8_count(json_object_get_string(value), size);
    return true;
}

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

bool assert_max_length(struct schema_eval *e, const struct keyword *k, json_object *value,
                       struct marks *marks)
{
    uint64_t length;
    if (!text_length(e, value, &length))
        return false;
    return length <= k->count || eval_fail(e, "must be at most %" PRIu64 " character%s long, not %" PRIu64,
                                           k->count, plural(k->count), length);
}

bool assert_min_length(struct schema_eval *e, const struct keyword *k, json_object *value,
                       struct marks *marks)
{
    uint64_t length;
    if (!text_length(e, value, &length))
        return false;
    return length >= k->count || eval_fail(e, "must be at least %" PRIu64 " character%s long, not %" PRIu64,
                                           k->count, plural(k->count), length);
}

bool assert_pattern(struct schema_eval *e, const struct keyword *k, json_object *value, struct marks *marks)
{
    bool matches = false;
    size_t size = (size_t)json_object_get_string_len(value);
    if (regex_match(k->regex, json_object_get_string(value), size, &e->budget, &matches) != OK)
        return eval_within_budget(e);
    return matches || eval_fail(e, "must match the pattern %s", k->text);
}

bool assert_format(struct schema_eval *e, const struct keyword *k, json_object *value, struct marks *marks)
{
    const char *text = json_object_get_string(value);
    size_t size = (size_t)json_object_get_string_len(value);
    if (!eval_charge_scan(e, FORMAT_BYTE_SCANS * size))
        return false;
    return k->format(text, size) || eval_fail(e, "must have the format \"%s\"", k->text);
}

bool assert_max_items(struct schema_eval *e, const struct keyword *k, json_object *value, struct marks *marks)
{
    size_t count = json_object_array_length(value);
    return count <= k->count ||
           eval_fail(e, "must have at most %" PRIu64 " item%s, not %zu", k->count, plural(k->count), count);
}

bool assert_min_items(struct schema_eval *e, const struct keyword *k, json_object *value, struct marks *marks)
{
    size_t count = json_object_array_length(value);
    return count >= k->count ||
           eval_fail(e, "must have at least %" PRIu64 " item%s, not %zu", k->count, plural(k->count), count);
}

static uint64_t mix(uint64_t hash, const void *data, size_t size)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* Equal values have equal hashes: numbers are hashed as the nearest double, and the order of members does not
 * matter. */
static uint64_t hash_value(struct schema_eval *e, json_object *value)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325) + (eval_type(value) & ~(unsigned)TYPE_INTEGER);
    if (!eval_charge(e, 1))
        return hash;
    switch (json_object_get_type(value)) {
    case json_type_int:
    case json_type_double: {
        double number = (double)number_of(value) + 0.0; /* -0 becomes 0 */
        return mix(hash, &number, sizeof number);
    }
    case json_type_boolean:
        return hash + (uint64_t)json_object_get_boolean(value);
    case json_type_string:
        if (!eval_charge_scan(e, HASH_BYTE_SCANS * (size_t)json_object_get_string_len(value)))
            return hash;
        return mix(hash, json_object_get_string(value), (size_t)json_object_get_string_len(value));
    case json_type_array:
        for (size_t i = 0; i < json_object_array_length(value) && !e->exhausted; i++) {
            uint64_t item = hash_value(e, json_object_array_get_idx(value, i));
            hash = mix(hash, &item, sizeof item);
        }
        return hash;
    case json_type_object: {
        json_object_object_foreach(value, key, member)
        {
            if (!eval_charge_scan(e, HASH_BYTE_SCANS * strlen(key)))
                return hash;
            uint64_t inner = hash_value(e, member);
            hash += mix(mix(UINT64_C(0x9e3779b97f4a7c15), key, strlen(key)), &inner, sizeof inner);
        }
        return hash;
    }
    case json_type_null:
        break;
    }
    return hash;
}

struct hashed_item {
    uint64_t hash;
    size_t index;
};

static int compare_hashes(const void *a, const void *b)
{
    const struct hashed_item *x = a;
    const struct hashed_item *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* Checks to sort `count` hashes. */
static size_t sort_checks(size_t count)
{
    size_t levels = 1;
    for (size_t n = count; n > 1; n /= 2)
        levels++;
    return count * levels / SORTED_PER_CHECK;
}

/* True if items a and b are equal. Items made to collide are charged for each compared pair. */
static bool items_equal(struct schema_eval *e, json_object *array, const struct hashed_item *a,
                        const struct hashed_item *b)
{
    bool equal = json_equal_within(json_object_array_get_idx(array, a->index),
                                   json_object_array_get_idx(array, b->index), &e->budget);
    return eval_within_budget(e) && equal;
}

/* Compares only items of equal hash: n log n for ordinary input. */
bool assert_unique_items(struct schema_eval *e, const struct keyword *k, json_object *value,
                         struct marks *marks)
{
    size_t count = json_object_array_length(value);
    if (count < 2)
        return true;
    struct hashed_item *items = talloc_array(e->ctx, struct hashed_item, count);
    for (size_t i = 0; i < count && !e->exhausted; i++)
        items[i] = (struct hashed_item){hash_value(e, json_object_array_get_idx(value, i)), i};
    bool unique = eval_charge(e, sort_checks(count));
    if (unique)
        qsort(items, count, sizeof *items, compare_hashes);
    for (size_t i = 0; i < count && unique; i++) {
        for (size_t j = i + 1; j < count && items[j].hash == items[i].hash && eval_charge(e, 10); j++) {
            if (!items_equal(e, value, &items[i], &items[j]))
                continue;
            unique = eval_fail(e, "must not have equal items, but items %zu and %zu are equal",
                               items[i].index, items[j].index);
            break;
        }
    }
    talloc_free(items);
    return unique;
}

bool assert_max_properties(struct schema_eval *e, const struct keyword *k, json_object *value,
                           struct marks *marks)
{
    uint64_t count = (uint64_t)json_object_object_length(value);
    return count <= k->count || eval_fail(e, "must have at most %" PRIu64 " member%s, not %" PRIu64, k->count,
                                          plural(k->count), count);
}

bool assert_min_properties(struct schema_eval *e, const struct keyword *k, json_object *value,
                           struct marks *marks)
{
    uint64_t count = (uint64_t)json_object_object_length(value);
    return count >= k->count || eval_fail(e, "must have at least %" PRIu64 " member%s, not %" PRIu64,
                                          k->count, plural(k->count), count);
}

/* True if the object has the member. A look-up hashes the name. */
static bool has_member(struct schema_eval *e, json_object *value, const char *name)
{
    return eval_charge(e, 1) && eval_charge_scan(e, HASH_BYTE_SCANS * strlen(name)) &&
           json_object_object_get_ex(value, name, NULL);
}

bool assert_required(struct schema_eval *e, const struct keyword *k, json_object *value, struct marks *marks)
{
    bool holds = true;
    for (size_t i = 0; i < k->names.count && !eval_is_done(e); i++) {
        if (has_member(e, value, k->names.items[i]))
            continue;
        holds = eval_fail(e, "lacks a required member: \"%s\"", k->names.items[i]);
        if (e->quiet)
            break;
    }
    return holds;
}

static bool assert_dependency(struct schema_eval *e, const struct dependency *d, json_object *value)
{
    bool holds = true;
    for (size_t i = 0; i < d->required.count && !eval_is_done(e); i++) {
        if (!has_member(e, value, d->required.items[i]))
            holds =
                eval_fail(e, "lacks a member that \"%s\" requires: \"%s\"", d->name, d->required.items[i]);
    }
    return holds;
}

bool assert_dependent_required(struct schema_eval *e, const struct keyword *k, json_object *value,
                               struct marks *marks)
{
    bool holds = true;
    for (size_t i = 0; i < k->dependencies.count && !eval_is_done(e); i++) {
        const struct dependency *d = &k->dependencies.items[i];
        if (has_member(e, value, d->name) && !assert_dependency(e, d, value))
            holds = false;
    }
    return holds;
}
