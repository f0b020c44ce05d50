/* An execution as the JSON object of the API. Every documented member is present. */
#pragma once

#include "store/artifact.h"
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
    /* What the run has left (view_read_results): of a skill's run. */
    const struct artifact *artifacts;
    size_t artifacts_n;
    /* There is a log, or there may be one while the run lasts; -1: its size is not known yet. */
    bool has_log;
    int64_t log_size;
    /* JSON {count, names} of the files that the last attempt did not find; NULL: none is missing */
    const char *files_missing;
    /* the member `steps` is left out; the rest is shown */
    bool hidden;
};
/* Reads artifacts, the size of the log and the missing files into `v`, on ctx. Only skills have any: for a
 * workflow's run nothing is read. */
enum err view_read_results(struct db *db, void *ctx, const struct execution *exec,
                           struct view_steps *v) WARN_UNUSED;
/* Writes the member `artifacts`. */
void view_artifacts(struct json_write *w, const id *execution, const struct artifact *list, size_t n);
/* Input and output are shown if they were read. `steps` may be NULL; then neither steps nor artifacts, log
 * and missing files are shown. */
void view_execution(struct json_write *w, const struct execution *exec, const struct view_steps *steps);
/* The i-th node of execution_tree_read with its `children`, recursively. `children_truncated` is true if some
 * are left out. */
void view_execution_tree(struct json_write *w, const struct execution_tree_node *nodes, size_t i);
