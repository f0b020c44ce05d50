/* Builds the tree of an execution from the rows of execution_children, in memory. Used by
 * lib/store/execution_tree.c; separate so that it can be tested without a database. */
#pragma once

#include "base/ids.h"

struct tree_row {
    id child, parent;
    /* Micro-credits of the child, less refunds. */
    int64_t credits;
};

/* An execution of the tree. They are listed breadth-first, beginning with the top. */
struct tree_branch {
    /* Points to a row, or is the top's. */
    const id *id;
    /* Index of the parent in the list. */
    size_t parent;
    /* 0: the top. */
    size_t depth;
    /* The children in the list. */
    size_t first, count;
    /* Micro-credits, including all descendants. */
    int64_t credits;
};

/* Lists `top`, which itself cost `own`, and its descendants, allocated on ctx. Sorts the rows, to which the
 * list points. Rows outside of the part below `top` are ignored. */
struct tree_branch *tree_build(void *ctx, struct tree_row *rows, size_t rows_n, const id *top, int64_t own,
                               size_t *n_r);
/* How many of the list are shown: at most `max`, and none at depth `depth_max` or below. */
size_t tree_shown(const struct tree_branch *list, size_t n, size_t max, size_t depth_max);
/* How many children of a branch are among the first `shown` of the list. */
size_t tree_shown_children(const struct tree_branch *branch, size_t shown);
