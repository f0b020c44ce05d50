/* Removes secrets from what is stored, logged and shown: each occurrence of a secret's value becomes
 * "[redacted]". These forms of a value are found: as it is; percent-encoded, with upper-case or lower-case
 * hex digits; as in a JSON string; and base64 of either alphabet, at each of the three offsets that the value
 * can have inside a larger text such as `user:password`. Pieces of base64 shorter than 8 characters are not
 * searched, because they occur by chance. Not found: a value in hexadecimal, encrypted, hashed or compressed,
 * split over several strings, and a JSON number: numbers are never changed, so that conditions on them and
 * the status of a response keep their meaning.
 *
 * A redactor is immutable. It copies the values, and wipes them when it is freed. */
#pragma once

#include <json-c/json.h>
#include <stddef.h>

#include "base/budget.h"

struct secret_value {
    const char *text;
    size_t size;
};

struct redactor;

/* Empty values are ignored. The functions below accept NULL as a redactor without secrets. */
struct redactor *redactor_new(void *ctx, const struct secret_value *secrets, size_t count);

/* The text without secrets: `text` itself if it contains none, otherwise a new NUL-terminated text of ctx. */
const char *redact_text(void *ctx, const struct redactor *r, const char *text, size_t size, size_t *size_r);

/* The value without secrets: `value` itself if it contains none, otherwise a copy that belongs to ctx.
 * Strings and member names are redacted, numbers are not. If two names of one object would become the same,
 * the later ones get a number: "[redacted]", "[redacted] 2". */
json_object *redact_json(void *ctx, const struct redactor *r, json_object *value);
/* The same within a budget. NULL, and budget->exceeded, beyond it: nothing may be shown then. */
json_object *redact_json_within(void *ctx, const struct redactor *r, json_object *value,
                                struct budget *budget);
