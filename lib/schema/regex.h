/* Regular expressions of JSON Schema: ECMA-262 (Unicode mode) as a subset that PCRE2 runs. What only PCRE
 * knows (verbs, recursion, possessive quantifiers, inline options …) is refused, so no pattern can switch the
 * limits off. Unanchored; a compiled one is immutable and may be matched by several threads. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct regex;

/* ERR_INVALID with *why_r (memory of ctx, or static) when it is no usable pattern. */
enum err regex_compile(void *ctx, const char *pattern, size_t size, struct regex **regex_r,
                       const char **why_r) WARN_UNUSED;

/* Takes from *budget what the match cost. ERR_LIMIT when it would cost too much to tell. */
enum err regex_match(const struct regex *regex, const char *subject, size_t size, long *budget,
                     bool *matches_r) WARN_UNUSED;
