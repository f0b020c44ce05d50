/* Workflows: rows, versions, and which workflow calls which. Every function takes the workspace; a workflow
 * of another workspace is not found. Results are allocated on ctx. */
#pragma once

#include "account/idempotency.h"
#include "base/span.h"
#include "mariadb/db.h"
#include "store/quota.h"
#include "workflow/program_compile.h"
#include "json/json_problems.h"

enum {
    /* Characters. */
    WORKFLOW_NAME_MAX = 200,
    /* Octets. */
    WORKFLOW_DESCRIPTION_MAX = 16384,
};

struct workflow {
    id id, workspace_id, created_by;
    const char *name, *description;
    /* The name of its tool for agents (mcp/tool_name.h); NULL: it is not exposed. */
    const char *tool;
    /* The current one. */
    int version;
    /* Micro-credits that the program asks for. */
    int64_t credits;
    /* The operator's price in micro-credits; -1: not set. */
    int64_t price;
    /* The account's catalog version at the same moment (lib/account/account.h). */
    int64_t catalog_version;
    int64_t created_ms, updated_ms, archived_ms;
    /* When the newest execution was accepted; 0: none. */
    int64_t last_run_ms;
    /* JSON as sent; NULL where it was not read. */
    const char *program;
    size_t program_size;
    /* workflow_warnings; set by the caller that has just stored the program */
    const char **warnings;
    size_t warnings_n;
};

/* A workflow that is not archived, with its program. ERR_NOT_FOUND: none. */
enum err workflow_get(struct db *db, void *ctx, const id *workspace, const id *workflow,
                      struct workflow *w_r) WARN_UNUSED;
/* Only what accepting a run needs: id, name, version, credits, price and catalog version. */
enum err workflow_get_current(struct db *db, void *ctx, const id *workspace, const id *workflow,
                              struct workflow *w_r) WARN_UNUSED;
/* The program of any version, also of an archived workflow. ERR_NOT_FOUND: none. */
enum err workflow_get_program(struct db *db, void *ctx, const id *workspace, const id *workflow, int version,
                              const char **program_r, size_t *size_r) WARN_UNUSED;
/* The minimum price of a run of any version: the micro-credits that its program asks for, and the operator's
 * price (-1: not set). ERR_NOT_FOUND also if the workflow is archived. */
enum err workflow_version_prices(struct db *db, void *ctx, const id *workspace, const id *workflow,
                                 int version, int64_t *credits_r, int64_t *price_r) WARN_UNUSED;
/* At most `limit` workflows that are not archived, newest first, older than `after` if it is set. */
enum err workflow_list(struct db *db, void *ctx, const id *workspace, const id *after, int64_t limit,
                       struct workflow **list_r, size_t *count_r) WARN_UNUSED;

/* At most `limit` exposed workflows whose tools follow `after` ("": all) in the order of their names, with
 * their programs. */
enum err workflow_list_tools(struct db *db, void *ctx, const id *workspace, const char *after, int64_t limit,
                             struct workflow **list_r, size_t *count_r) WARN_UNUSED;
/* The exposed workflow with this tool. ERR_NOT_FOUND: none. */
enum err workflow_find_tool(struct db *db, void *ctx, const id *workspace, const char *tool,
                            id *workflow_r) WARN_UNUSED;

/* What the program refers to and the workspace does not have yet: sentences of ctx. The workflow may be
 * stored all the same. None if the look-up fails (logged). */
void workflow_warnings(struct db *db, void *ctx, const id *workspace, const struct program *program,
                       const char ***list_r, size_t *n_r);

/* A new workflow, or a new version of one. */
struct workflow_change {
    id workspace_id, principal_id;
    /* Chosen by the caller if the workflow is new. */
    id workflow_id;
    bool is_new;
    struct span name, description;
    /* Absent: the workflow is not exposed. */
    struct span tool;
    /* JSON as sent. */
    struct span program;
    /* `program`, checked and compiled. */
    const struct program *compiled;
    /* Receives calls of workflows that do not exist or that lead back to this one. */
    struct json_problems *problems;
    int64_t at_ms;

    /* Of a new workflow; absent: none. */
    struct span idempotency_key;
    uint8_t fingerprint[IDEMPOTENCY_FINGERPRINT];
    /* What a repetition of this request gets. */
    struct stored_response first_response;
    /* Names the default quotas. */
    const struct config *config;
};
struct workflow_outcome {
    /* The change was made if the key is IDEMPOTENCY_FREE; also where there is no key. */
    struct idempotency_match key;
    int version;
    /* Of ERR_LIMIT. */
    struct quota_excess excess;
    /* Of ERR_CONFLICT: another exposed workflow has the tool's name. */
    bool tool_is_taken;
};

/* One transaction under the account's lock. ERR_INVALID: problems were added and nothing was changed.
 * ERR_NOT_FOUND: the workflow does not exist or is archived. ERR_LIMIT: a quota would be exceeded.
 * ERR_CONFLICT: see tool_is_taken. */
enum err workflow_put(struct db *db, void *ctx, const struct workflow_change *change,
                      struct workflow_outcome *outcome_r) WARN_UNUSED;
/* An archived workflow accepts no runs and is not shown. Archiving it again is no error. */
enum err workflow_archive(struct db *db, const id *workspace, const id *workflow, int64_t now_ms) WARN_UNUSED;
/* The minimum price of a run in micro-credits: the operator's price of the workflow or of the workspace, else
 * one credit. An unset `workflow` stands for a new one. */
enum err workflow_price(struct db *db, void *ctx, const id *workspace, const id *workflow,
                        int64_t *micro_r) WARN_UNUSED;
/* Sets the operator's price of a workflow in micro-credits; -1: the workspace's price applies again.
 * ERR_NOT_FOUND: no such workflow. */
enum err workflow_set_price(struct db *db, const id *workspace, const id *workflow,
                            int64_t micro) WARN_UNUSED;
