/* Keeps secrets out of what is stored, logged and shown: every occurrence of a secret's value becomes
 * "[redacted]". Looked for are the value as it is, percent-encoded (upper- and lower-case hex), as it stands
 * in a JSON string, and what base64 (either alphabet) makes of it at any of the three offsets that it may
 * have inside a larger text, such as `user:password`. A redactor is immutable and copies the values; they are
 * wiped when it is freed. */
#pragma once

#include <json-c/json.h>
#include <stddef.h>

struct secret_value {
    const char *text;
    size_t size;
};

struct redactor;

/* NULL-safe everywhere below: without secrets there is nothing to do, and NULL says so. Empty values are
 * ignored. */
struct redactor *redactor_new(void *ctx, const struct secret_value *secrets, size_t count);

/* The text without the secrets: `text` itself where none occurs, else a new NUL-terminated text of ctx. */
const char *redact_text(void *ctx, const struct redactor *r, const char *text, size_t size, size_t *size_r);

/* The value without the secrets: `value` itself where none occurs, else a copy of ctx. Strings and member
 * names are cleaned; a number that shows a secret becomes the string "[redacted]". */
json_object *redact_json(void *ctx, const struct redactor *r, json_object *value);
