/* Finds the members of a JSON object in its text, so that what a caller sent can be stored and passed on as
 * its raw bytes. The text must have been accepted by json_parse. Nothing is copied: results point into the
 * text. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Finds the raw value of the top-level member `name`. If several members have that name, the last one counts,
 * as in json_parse. Returns false if there is none, or if `text` is no object. */
bool json_raw_member(const char *text, size_t size, const char *name, const char **at_r, size_t *size_r);
