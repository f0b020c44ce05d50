/* The body of an HTTP response as a JSON value: parsed if its media type is JSON, otherwise text. Pure. */
#pragma once

#include <json-c/json.h>
#include <stddef.h>

/* Levels of nesting of a parsed body. */
enum { RESPONSE_DEPTH_MAX = 64 };

/* The value, of which the caller owns one reference; NULL is JSON null: the body is empty. JSON are
 * application/json, text/json and every type with the suffix +json; a byte order mark before it is skipped
 * (RFC 8259, section 8.1). A body of such a type that cannot be parsed becomes text, and *why_r, of ctx or
 * static, is the reason. Text in another charset that the type names and ICU knows is converted; in other
 * text, U+FFFD replaces bytes that are not UTF-8, and *why_r says so. Otherwise *why_r is NULL. */
json_object *response_body_value(void *ctx, const char *content_type, const char *body, size_t size,
                                 const char **why_r);
