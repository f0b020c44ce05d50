/* Whether the rows of a workspace's file are of that workspace: a file must not write into another one,
 * whoever made it. */
#pragma once

#include "base/ids.h"
#include "base/span.h"
#include "cli/workspace_tables.h"

/* The ids of the rows so far by which rows of later tables belong to the workspace: 16 bytes for each
 * execution, workflow, skill, budget and bulk job. */
struct owned;
struct owned *owned_new(void *ctx, const id *workspace);
/* Whether a row of `t` is of the workspace: it names it, or one of the rows before it. `columns` as of
 * db_copy_columns. Remembers its id. */
bool owned_take(struct owned *o, const struct workspace_table *t, const char *columns,
                const struct span *cells) WARN_UNUSED;
