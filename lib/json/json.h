/* Reading JSON: one strict parser for everything that comes from outside, and small accessors. Built on
 * json-c.
 *
 * A parsed value is owned by the talloc context that it was parsed into; callers never call json_object_put
 * on it. json-c clamps integers beyond 64 bits, keeps only the last of two equal names, replaces half of a
 * surrogate pair and drops the sign of the integer -0. Therefore what a caller sent is stored and passed on
 * as its raw bytes (json_raw.h), json_parse rejects what json-c would change, and a value that was parsed is
 * written as it was sent. */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/budget.h"
#include "base/err.h"
#include "base/span.h"
#include "json/json_own.h"

enum {
    /* levels of nesting in a request body */
    JSON_DEPTH_MAX = 32,
    /* bytes of a request body */
    JSON_BODY_MAX = 1024 * 1024,
    /* bytes of the body of a run-batch: it is split by json_raw_split, and each item is parsed by itself, so
     * that JSON_VALUES_MAX bounds an item and not the body */
    JSON_BATCH_MAX = 8 * 1024 * 1024,
    /* values of one text that json_parse accepts: 300,000 take up to 90 ms and 80 MiB. An object counts as
     * JSON_OBJECT_WEIGHT values, a member as one. */
    JSON_VALUES_MAX = 300000,
    JSON_OBJECT_WEIGHT = 3,
    /* bytes of a pointer that json_pointer_join makes */
    JSON_POINTER_MAX = 1024,
    /* units of a budget (measured): a node that is compared, and a member that is looked up by its name */
    JSON_NODE_UNITS = 6,
    JSON_LOOKUP_UNITS = 12
};

/* Parses `size` bytes as exactly one JSON text: at most 64 MiB of valid UTF-8 without a byte order mark,
 * nested at most `depth` levels, integers within 64 bits (signed or unsigned), only white space after it, no
 * NUL byte, no NUL in the name of a member, no half of a surrogate pair, and no name twice in one object. On
 * ERR_INVALID *why_r is a clause for the caller (static or of ctx), and on ERR_LIMIT, which stands for more
 * than JSON_VALUES_MAX values; ERR_INTERNAL if memory ran out. *value_r is owned by ctx and NULL for JSON
 * null. */
enum err json_parse(void *ctx, const char *text, size_t size, int depth, json_object **value_r,
                    const char **why_r) WARN_UNUSED;
/* The same for texts that nobody can send again: responses of other servers, and what an earlier version
 * stored. A byte order mark is skipped, half of a surrogate pair is read as U+FFFD, and the last of two equal
 * names counts, and the number of values is not limited: a caller whose text another
 * server has sent just now calls json_has_too_many_values first. */
enum err json_parse_tolerant(void *ctx, const char *text, size_t size, int depth, json_object **value_r,
                             const char **why_r) WARN_UNUSED;

/* The values of a JSON text as JSON_VALUES_MAX counts them; counting ends beyond that. One pass, nothing is
 * built. */
size_t json_count_values(const char *text, size_t size);
/* True if json_parse would reject the text because of the number of its values. */
bool json_has_too_many_values(const char *text, size_t size);
/* Bytes of memory that the tree of a JSON text takes, by estimate from one pass, about 1 ns a byte: an upper
 * bound for what json_parse accepts, at most twice what the tree takes. */
size_t json_tree_estimate(const char *text, size_t size);

/* A member of an object (borrowed). NULL if it is absent or JSON null, or if `object` is not an object. */
json_object *json_get(json_object *object, const char *name);
/* A string as its bytes (borrowed), which may contain NULs; absent if the value is no string. */
struct span json_span(json_object *value);
/* A string as a NUL-terminated text (borrowed); NULL if the value is no string or contains a NUL, so that it
 * is never cut there: "stop\0x" is not "stop". */
const char *json_plain(json_object *value);
/* json_plain of a member of an object; NULL also if the member is absent. */
const char *json_get_text(json_object *object, const char *name);
/* The value as compact JSON, slashes not escaped. The text belongs to the value (json-c's own buffer) and is
 * valid until the value changes or is serialised again. `size_r` may be NULL. */
const char *json_text(json_object *value, size_t *size_r);
/* Equality as JSON Schema and the operator == of conditions define it: 1 equals 1.0, the order of members is
 * ignored. */
bool json_equal(json_object *a, json_object *b);
/* The same within a budget. False, and budget->exceeded, if the comparison would exceed it. */
bool json_equal_within(json_object *a, json_object *b, struct budget *budget);
/* Follows an RFC 6901 pointer from `root`. *found_r is false if the pointer leads to nothing; a JSON null
 * that was found is NULL with *found_r true. The value is borrowed. */
json_object *json_find(json_object *root, const char *pointer, bool *found_r);
/* The same within a budget, which is charged for the pointer. Beyond it nothing is found. */
json_object *json_find_within(json_object *root, const char *pointer, bool *found_r, struct budget *budget);
/* A new string of ctx: `pointer`, a slash, and `token` with ~ and / escaped. If that could be longer than
 * JSON_POINTER_MAX, only `pointer`: a name of a member can be as long as the document, and compilers make a
 * pointer for each value below it. */
char *json_pointer_join(void *ctx, const char *pointer, const char *token);
