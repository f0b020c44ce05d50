/* An execution with all its descendants, read as one range of execution_children by root. Results are
 * allocated on ctx. */
#pragma once

#include "store/execution.h"

enum {
    /* Executions of one response, including the top; those nearest to the top come first. */
    EXECUTION_TREE_SHOWN_MAX = 1000,
};

/* Breadth-first: the children of a node are adjacent, in the order of their creation. */
struct execution_tree_node {
    /* The first node is the top, with its payload. total_credits is set in every node. */
    struct execution execution;
    /* The node's children in the list, as far as they are shown. */
    size_t first, count;
    /* The node has children that are not shown. */
    bool truncated;
};

/* ERR_NOT_FOUND: the workspace has no such execution. ERR_RETRY: an execution was removed during the read. */
enum err execution_tree_read(struct db *db, void *ctx, const id *workspace, const id *top,
                             struct execution_tree_node **nodes_r, size_t *count_r) WARN_UNUSED;
/* Micro-credits, less refunds, of the execution `top` of this tree and all its descendants. `own` is what
 * `top` itself cost. Takes no workspace: the caller must have found the execution in its workspace. */
enum err execution_tree_credits(struct db *db, const id *root, const id *top, int64_t own,
                                int64_t *micro_r) WARN_UNUSED;
/* The oldest root that a chat message started. ERR_NOT_FOUND: none. */
enum err execution_tree_by_message(struct db *db, void *ctx, const id *workspace, const id *message,
                                   id *execution_r) WARN_UNUSED;
