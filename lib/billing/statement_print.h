/* The forms of a statement. */
#pragma once

#include <json-c/json.h>
#include <stddef.h>

#include "billing/statement.h"

/* The members of one statement; with `details` also its lines, grouped by `by` (BILLING_BY_…), and its
 * grants. The caller owns the reference. */
json_object *statement_json(const struct statement *s, unsigned by, bool details);
/* The members that identify a line, and its sums. */
json_object *billing_line_json(const struct billing_line *line, unsigned by);
/* One row for the opening balance, for each kind of each grant and line, and for the closing balance. The
 * amounts from the first row to the last but one add up to the last. Of ctx. */
char *statement_csv(void *ctx, const struct statement *s);
/* A page to print, without scripts and without anything from elsewhere. Of ctx. */
char *statement_html(void *ctx, const struct statement *s);
