/* An execution with all that it has started, directly or through others: read as one range of
 * execution_children, by root. Everything takes the workspace. Results are of ctx. */
#pragma once

#include "store/execution.h"

enum {
    EXECUTION_TREE_SHOWN_MAX =
        1000, /* executions of one answer, the top included; those nearest to it come first */
    EXECUTION_TREE_READ_MAX = 10000, /* rows of a tree: none grows beyond it (TREE_SIZE_MAX) */
};

/* Breadth-first: the children of a node stand together, in the order of their creation. */
struct execution_tree_node {
    struct execution execution; /* the first, the top, with its payload; total_credits is set in all */
    size_t first, count;        /* its children in the list, as far as they are shown */
    bool truncated;             /* it has more */
};

/* ERR_NOT_FOUND: the workspace has no such execution. */
enum err execution_tree_read(struct db *db, void *ctx, const id *workspace, const id *top,
                             struct execution_tree_node **nodes_r, size_t *count_r) WARN_UNUSED;
/* What an execution of this tree and everything below it cost, in micro-credits, refunds taken off. */
enum err execution_tree_credits(struct db *db, const id *root, const id *top, int64_t own,
                                int64_t *micro_r) WARN_UNUSED;
/* The oldest root that a chat's message started. ERR_NOT_FOUND: none. */
enum err execution_tree_by_message(struct db *db, void *ctx, const id *workspace, const id *message,
                                   id *execution_r) WARN_UNUSED;
