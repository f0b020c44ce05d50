/* Regular expressions of JSON Schema: a subset of ECMA-262 (Unicode mode), translated to PCRE2. Syntax that
 * only PCRE knows (verbs, recursion, possessive quantifiers, inline options ...) is rejected, so that no
 * pattern can disable the limits. Matching is unanchored. A compiled expression is immutable; several threads
 * may match it at once. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/budget.h"
#include "base/err.h"

struct regex;

/* Compiles `size` bytes (at most 8 KiB) into a regex owned by ctx. ERR_INVALID with *why_r (static, or of
 * ctx) if the pattern is malformed or not supported. */
enum err regex_compile(void *ctx, const char *pattern, size_t size, struct regex **regex_r,
                       const char **why_r) WARN_UNUSED;

/* Searches `subject` and charges the cost. ERR_LIMIT, and budget->exceeded, if the budget does not allow to
 * compute the result. */
enum err regex_match(const struct regex *regex, const char *subject, size_t size, struct budget *budget,
                     bool *matches_r) WARN_UNUSED;
