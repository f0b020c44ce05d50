/* Finds the members of a JSON object in its text, so that what a caller sent can be stored and passed on as
 * its raw bytes. Unless said otherwise, the text must have been accepted by json_parse. Nothing is copied:
 * results point into the text. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/span.h"

/* Splits a text that nobody has checked: {"NAME": [ITEM, …]} with no other member. Returns the number of
 * items and fills items[] (their raw bytes, each not empty) up to `max`; the result is at most max + 1, which
 * stands for more. -1 if the text is something else: *why_r is a clause (static). An item is only delimited:
 * json_parse tells whether it is a value. If all items are values, the text is JSON. */
ssize_t json_raw_split(const char *text, size_t size, const char *name, struct span *items, size_t max,
                       const char **why_r) WARN_UNUSED;
/* Finds the raw value of the top-level member `name`. If several members have that name, the last one counts,
 * as in json_parse. Returns false if there is none, or if `text` is no object. */
bool json_raw_member(const char *text, size_t size, const char *name, const char **at_r, size_t *size_r);
