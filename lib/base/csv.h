/* CSV (RFC 4180) that is safe to open in a spreadsheet: a text that a spreadsheet would take for a formula
 * gets a leading apostrophe. Numbers and dates that Millrace writes need none of this. */
#pragma once

#include <stddef.h>

/* Appends a text cell to `csv`, a talloc string, and returns the string, as talloc_strdup_append_buffer does.
 * A text is quoted if it is empty or holds a quote, a comma or a line end. It gets an apostrophe if its first
 * character after spaces is one of = + - @, a tab, a line end, or the full-width form of = + - @. */
char *csv_append_text(char *csv, const char *text, size_t size);
