/* The places of a text that json_parse rejects because json-c would change them: a name that stands twice in
 * one object, of which json-c keeps the last, and half of a surrogate pair, which it replaces. */
#pragma once

#include <stddef.h>

#include "json/json_problems.h"

/* Adds a problem, with its pointer, for each such place. For a text that json_parse_tolerant accepts. */
void json_find_changed(void *ctx, const char *text, size_t size, struct json_problems *problems);
