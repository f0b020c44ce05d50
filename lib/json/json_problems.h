/* What is wrong with something a caller sent, as a list of {pointer, message}: an RFC 6901 pointer to the
 * place in the caller's document and a sentence about it. Checks go on after a problem, so that a caller
 * hears all of them at once; they become `errors` of a 422. A list keeps at most JSON_PROBLEMS_MAX entries
 * and counts the rest. */
#pragma once

#include <stddef.h>

#include "base/err.h"

enum { JSON_PROBLEMS_MAX = 100 };

struct json_problem {
    const char *pointer;
    const char *message;
};

struct json_problems {
    struct json_problem list[JSON_PROBLEMS_MAX];
    size_t count; /* entries in list */
    size_t total; /* found, also those that had no room */
};

/* An empty list of ctx; the texts that are added belong to it. */
struct json_problems *json_problems_new(void *ctx);

/* Adds one; both texts are copied. NULL for `p` is allowed: the problem is forgotten. */
void json_problems_add(struct json_problems *p, const char *pointer, const char *format, ...)
    PRINTF_LIKE(3, 4);
