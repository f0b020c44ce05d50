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

/* Calls of workflows that one walk follows. */
enum { PROGRAM_CALLS_MAX = 10000 };

/* One workflow that a stored workflow calls; callee NULL: it calls none. */
struct program_call {
    const char *caller, *callee;
};
/* Access to stored workflows: `calls` returns the calls of `n` workflows, at least one for each workflow that
 * exists and none for any other. Ids are in lower case; the array and the texts are of ctx. */
struct program_graph {
    enum err (*calls)(void *arg, void *ctx, const char *const *workflow_ids, size_t n,
                      struct program_call **calls_r, size_t *count_r);
    void *arg;
};
/* Adds a problem for each workflow step whose workflow does not exist, or calls `own_id` directly or
 * indirectly (NULL for a new workflow, which no other can call yet), or one problem if these workflows make
 * more than PROGRAM_CALLS_MAX calls in all. All steps share one walk, which reads each workflow once and asks
 * `calls` once per level. Returns OK even if problems were added; otherwise the error of `calls`. */
enum err program_find_loop(void *ctx, const struct program *program, const char *own_id,
                           const struct program_graph *graph, struct json_problems *problems) WARN_UNUSED;
