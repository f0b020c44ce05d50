/* Workflows: rows, versions, and which calls which. Everything takes the workspace: another workspace's
 * workflow is not found. Results are of ctx. */
#pragma once

#include "mariadb/db.h"
#include "run/accept.h"
#include "workflow/program_compile.h"
#include "json/json_problems.h"

enum { WORKFLOW_NAME_MAX = 200 /* characters */, WORKFLOW_DESCRIPTION_MAX = 16384 /* octets */ };

struct workflow {
    id id, workspace_id, created_by;
    const char *name, *description;
    int version;             /* the current one */
    int64_t credits;         /* micro: what its program asks for */
    int64_t price;           /* micro: the operator's, -1 where none is set */
    int64_t catalog_version; /* the account's, of the same moment (lib/account/account.h) */
    int64_t created_ms, updated_ms, archived_ms;
    int64_t last_run_ms; /* of the newest execution; 0: none */
    const char *program; /* as sent; where asked for */
    size_t program_size;
};

/* One that is not archived, with its program. */
enum err workflow_get(struct db *db, void *ctx, const id *workspace, const id *workflow,
                      struct workflow *w_r) WARN_UNUSED;
/* The same without the program and the last run: what accepting a run has to know. */
enum err workflow_get_current(struct db *db, void *ctx, const id *workspace, const id *workflow,
                              struct workflow *w_r) WARN_UNUSED;
/* The program of any version, also of an archived workflow. */
enum err workflow_get_program(struct db *db, void *ctx, const id *workspace, const id *workflow, int version,
                              const char **program_r, size_t *size_r) WARN_UNUSED;
/* What a run of any version costs at least: micro-credits that its program asks for, and the operator's price
 * (-1 where none is set). ERR_NOT_FOUND also where the workflow is archived. */
enum err workflow_version_prices(struct db *db, void *ctx, const id *workspace, const id *workflow,
                                 int version, int64_t *credits_r, int64_t *price_r) WARN_UNUSED;
/* Those not archived, the newest first, after (older than) `after` where it is set; at most `limit`. */
enum err workflow_list(struct db *db, void *ctx, const id *workspace, const id *after, int64_t limit,
                       struct workflow **list_r, size_t *count_r) WARN_UNUSED;

/* A new workflow, or a new version of one. */
struct workflow_change {
    id workspace_id, principal_id;
    id workflow_id; /* chosen by the caller, also of a new one */
    bool is_new;
    struct span name, description, program; /* program: JSON as sent */
    const struct program *compiled;         /* the same, checked */
    struct json_problems *problems;         /* workflows it calls that are not there, or lead back */
    int64_t at_ms;

    struct span idempotency_key; /* of a new one; absent: none */
    uint8_t fingerprint[32];
    int status; /* of the answer to store */
    struct span body;
};
struct workflow_outcome {
    enum run_verdict verdict; /* RUN_ACCEPTED, RUN_REPLAYED, RUN_KEY_REUSED */
    struct run_answer answer; /* of a replay */
    int version;
};

/* One transaction under the account's lock. ERR_INVALID: problems were added, nothing was done;
 * ERR_NOT_FOUND: no such workflow, or it is archived. */
enum err workflow_put(struct db *db, void *ctx, const struct workflow_change *change,
                      struct workflow_outcome *outcome_r) WARN_UNUSED;
/* It takes no runs any more and is not shown; again is no error. */
enum err workflow_archive(struct db *db, const id *workspace, const id *workflow, int64_t now_ms) WARN_UNUSED;
/* The least that a run of it costs: the operator's price of it or of the workspace, else one credit.
 * `workflow` may be unset: one that is new. */
enum err workflow_price(struct db *db, void *ctx, const id *workspace, const id *workflow,
                        int64_t *micro_r) WARN_UNUSED;
/* The operator's price of one workflow, in micro-credits; -1: the workspace's again. ERR_NOT_FOUND: no such
 * workflow.
 */
enum err workflow_set_price(struct db *db, const id *workspace, const id *workflow,
                            int64_t micro) WARN_UNUSED;
