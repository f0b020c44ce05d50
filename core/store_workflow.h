/* Workflows: rows, versions, and which calls which. Everything takes the workspace: another workspace's
 * workflow is not found. Results are of ctx. */
#pragma once

#include "core/accept_run.h"
#include "core/db.h"
#include "core/problem.h"

struct workflow {
    id id, workspace_id, created_by;
    const char *name, *description;
    int version;     /* the current one */
    int64_t credits; /* micro: what its program asks for */
    int64_t price;   /* micro: the operator's, -1 where none is set */
    int64_t created_ms, updated_ms, archived_ms;
    int64_t last_run_ms; /* of the newest execution; 0: none */
    const char *program; /* as sent; where asked for */
    size_t program_size;
};

/* One that is not archived, with its program. */
enum err workflow_get(struct db *db, void *ctx, const id *workspace, const id *workflow,
                      struct workflow *w_r) WARN_UNUSED;
/* The same without the program and the last run: what accepting a run has to know. */
enum err workflow_now(struct db *db, void *ctx, const id *workspace, const id *workflow,
                      struct workflow *w_r) WARN_UNUSED;
/* The program of any version, also of an archived workflow. */
enum err workflow_version(struct db *db, void *ctx, const id *workspace, const id *workflow, int version,
                          const char **program_r, size_t *size_r) WARN_UNUSED;
/* Those not archived, the newest first, after (older than) `after` where it is set; at most `limit`. */
enum err workflow_list(struct db *db, void *ctx, const id *workspace, const id *after, int64_t limit,
                       struct workflow **list_r, size_t *count_r) WARN_UNUSED;
