/* Where the members of a JSON object stand in its text, so that what a caller sent can be kept and handed on
 * as its raw bytes. For text that json_parse has accepted; nothing is copied. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The raw value of a top-level member; of several of that name the last, as json_parse has it. False where
 * there is none, or `text` is no object. */
bool json_raw_member(const char *text, size_t size, const char *name, const char **at_r, size_t *size_r);
