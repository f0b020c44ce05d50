/* An execution as the JSON object of the API. Every documented member is present. */
#pragma once

#include "store/execution.h"
#include "store/execution_tree.h"
#include "workflow/program.h"
#include "json/json_write.h"

struct view_steps {
    /* Names the steps; NULL: steps are shown with their index only. */
    const struct program *program;
    /* The steps that have begun, ascending. */
    const struct execution_step *list;
    size_t count;
};
/* Input and output are shown if they were read. `steps` may be NULL. */
void view_execution(struct json_write *w, const struct execution *exec, const struct view_steps *steps);
/* The i-th node of execution_tree_read with its `children`, recursively. `children_truncated` is true if some
 * are left out. */
void view_execution_tree(struct json_write *w, const struct execution_tree_node *nodes, size_t i);
