/* What json-c does not check: the text itself, after json-c has accepted it. Private to lib/json. */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_check {
    /* levels of nesting that are allowed */
    int depth_max;
    /* accept halves of surrogate pairs: see json_parse_tolerant */
    bool tolerant;

    /* members of all objects, and numbers, found so far */
    size_t members, numbers;
    /* which of the numbers are the integer "-0", whose sign json-c would drop; of ctx */
    size_t *minus_zeros;
    size_t minus_zeros_n;
};

/* Scans the text for what json-c accepts but JSON forbids (control characters in strings, keys in single
 * quotes, NaN, Infinity), for NULs in keys, for halves of surrogate pairs, and for numbers that json-c would
 * change. The depth is counted here, because json-c counts empty and non-empty containers differently.
 * Returns what is wrong (static, or of ctx), NULL if nothing. */
const char *json_check_text(void *ctx, const char *text, size_t size, struct json_check *check);

/* The sentence about the first name that stands twice in one object (of ctx); NULL if there is none. For a
 * text that json_check_text has accepted. */
const char *json_check_names(void *ctx, const char *text, size_t size);

/* An object or array that is open at a place of the text. */
struct json_level {
    /* the names that an object has so far; NULL: it is an array */
    json_object *names;
    /* of the member that the place is in */
    const char *name;
    /* of the element that the place is in */
    size_t index;
};
/* `half`: the escape that is half of a surrogate pair, in the text; NULL: the member's name stands twice. */
typedef void json_place_fn(void *arg, const struct json_level *levels, size_t depth, const char *half);
/* Calls back for every place that json_check_names or, unless it is tolerant, json_check_text rejects because
 * of a name that stands twice or half of a surrogate pair; once for a string. */
void json_check_places(void *ctx, const char *text, size_t size, json_place_fn *on_place, void *arg);
