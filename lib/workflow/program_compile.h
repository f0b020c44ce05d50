/* Compiles the program of a workflow from its JSON. Compiling reports all mistakes that can be found before a
 * run, each with its place in the document. */
#pragma once

#include "workflow/program.h"

/* Compiles `document`, which must be nested at most JSON_DEPTH_MAX levels. *program_r is owned by ctx; NULL
 * on ERR_INVALID, when problems were added to `problems` (may be NULL). `hooks` may be NULL: an executor
 * compiles programs that were checked when they were stored. */
enum err program_compile(void *ctx, json_object *document, const struct program_hooks *hooks,
                         struct program **program_r, struct json_problems *problems) WARN_UNUSED;

/* The ids of the workflows that the steps of a document call, each once and in lower case; an array of ctx.
 * The document may be invalid. */
const char **program_child_workflows(void *ctx, json_object *document, size_t *count_r);

/* Access to stored workflows: `children` returns the ids of the workflows that a workflow calls, in the form
 * of program_child_workflows, or ERR_NOT_FOUND if there is no such workflow. */
struct program_graph {
    enum err (*children)(void *arg, void *ctx, const char *workflow_id, const char ***ids_r, size_t *count_r);
    void *arg;
};
/* Adds a problem for each workflow step whose workflow does not exist, or calls `own_id` directly or
 * indirectly (NULL for a new workflow, which no other can call yet). Returns OK even if problems were added;
 * otherwise the error of `children`. */
enum err program_find_loop(void *ctx, const struct program *program, const char *own_id,
                           const struct program_graph *graph, struct json_problems *problems) WARN_UNUSED;
