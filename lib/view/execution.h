/* An execution as the JSON of the contract: one object that carries every name that the pages document. */
#pragma once

#include "store/execution.h"
#include "store/execution_tree.h"
#include "workflow/program_compile.h"
#include "json/json_write.h"

/* With input and output where they were read. `steps` (or NULL) are shown against their program (NULL: by
 * number alone).
 */
struct view_steps {
    const struct program *program;
    const struct execution_step *list; /* begun ones, ascending */
    size_t count;
};
void view_execution(struct json_write *w, const struct execution *exec, const struct view_steps *steps);
/* The i-th of what execution_tree_read found, with its `children`, recursively; `children_truncated` where
 * some are left out. */
void view_execution_tree(struct json_write *w, const struct execution_tree_node *nodes, size_t i);
