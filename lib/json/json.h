/* JSON as Millrace takes it: one strict parser for everything that comes from outside, and small getters.
 * Built on json-c; a parsed value is owned by the talloc context it was parsed into (no json_object_put by
 * hand). json-c clamps integers beyond 64 bits and keeps the last of two equal keys, so what a caller sent is
 * always kept and handed on as its raw bytes, and a number that does not fit is refused here. */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { JSON_DEPTH_MAX = 32, JSON_BODY_MAX = 1024 * 1024 };

/* Parses exactly one JSON text of `size` bytes: valid UTF-8, depth at most `depth`, integers within 64 bits,
 * nothing but white space behind it, no NUL in an object key. On ERR_INVALID *why_r is a sentence for the
 * caller (static or of ctx). The value lives as long as ctx. */
enum err json_parse(void *ctx, const char *text, size_t size, int depth, json_object **value_r,
                    const char **why_r) WARN_UNUSED;

/* Well-formed UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF. */
bool json_is_utf8(const char *text, size_t size);

/* Hands a json_object (one reference) to a talloc context: put when the context goes. Returns it. */
json_object *json_own(void *ctx, json_object *value);

/* Member of an object, or NULL (also when `object` is no object, or the member is JSON null). */
json_object *json_get(json_object *object, const char *name);
/* Member as text, or NULL when absent or no string. */
const char *json_get_text(json_object *object, const char *name);
/* Serialised compactly, slashes unescaped, owned by the value (json-c's own buffer). */
const char *json_text(json_object *value, size_t *size_r);
/* Equal as JSON Schema and `==` in conditions have it: 1 equals 1.0, member order is nothing. */
bool json_equal(json_object *a, json_object *b);
/* RFC 6901 over `root`; NULL and *found_r = false where it leads nowhere (a found JSON null is NULL with
 * true). */
json_object *json_find(json_object *root, const char *pointer, bool *found_r);
/* Appends `token` to `pointer` with ~ and / escaped; new string of ctx. */
char *json_pointer_join(void *ctx, const char *pointer, const char *token);
