/* What the errors of failed runs have in common: a hash by which GET /executions/errors groups them
 * (docs/api.md).
 *
 * The pattern of an error is its text without what differs from one run to the next:
 *
 *   https://api.example.com/x?y     <url>     any scheme, up to a space, a quote or a closing bracket
 *   "…" '…' `…`                     <quoted>  a quote opens where no word stands before it; one that is not
 *                                             closed is an ordinary character, unless 256 bytes follow it
 *   a UUID, 8 or more hexadecimal
 *   digits, a word of 16 or more
 *   characters with a digit, 0x1f   <id>
 *   17, -1.5, 10:30, 127.0.0.1      <n>       also within a shorter word: 12ms is <n>ms
 *   spaces and control characters   one space
 *
 * The number of an HTTP status stays ("status 503"), because it is what tells errors apart. A pattern has at
 * most ERROR_PATTERN_MAX bytes; what comes later in the text is ignored, and so is all behind its first 4096
 * bytes. The text may be any bytes; the time is linear. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "run/states.h"

enum { ERROR_PATTERN_MAX = 512 };

/* Writes the pattern, NUL-terminated, and returns its size. NULL is the empty text. */
size_t error_pattern(const char *error, char out[ERROR_PATTERN_MAX + 1]);
/* A hash of the reason, the name of the step (NULL: none) and the pattern of the error. It is stored: a
 * change of the rules separates the runs that have failed before from those that fail later. */
int64_t error_hash(enum failure_reason reason, const char *step, const char *error);
