/* Problems found in a document that a caller sent: a list of {pointer, message}. `pointer` is an RFC 6901
 * pointer into the document, `message` a sentence about the value there. Checks continue after the first
 * problem, so that the caller learns all of them at once; the API returns them as `errors` of a 422 response.
 * A list holds at most JSON_PROBLEMS_MAX entries and counts the rest. */
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
    /* entries in list */
    size_t count;
    /* problems found, including those for which the list had no room */
    size_t total;
};

/* An empty list, owned by ctx. The list owns the texts that are added. */
struct json_problems *json_problems_new(void *ctx);

/* Adds a problem; both texts are copied. If `p` is NULL, the problem is dropped. */
void json_problems_add(struct json_problems *p, const char *pointer, const char *format, ...)
    PRINTF_LIKE(3, 4);
