/* Executions as they are read. Pages of them: lib/store/execution_list.h. Everything takes the workspace.
 * Results are of ctx. How they change: lib/run/accept.h and lib/run/run_tx.h. */
#pragma once

#include "mariadb/db.h"
#include "run/states.h"

struct execution {
    id id, workspace_id, responder_id, root_id, parent_id, retry_of;
    enum responder_kind kind;
    enum run_source source;
    bool agentic;
    int version;
    enum run_state state;
    enum failure_reason reason;
    int64_t cost, refunded;                              /* micro */
    int64_t started_ms, ended_ms, updated_ms, purged_ms; /* 0: not yet */
    const char *responder_name;                          /* or a skill's slug: whoever shows it sets it */
    const char *tags, *metadata, *extra, *error;         /* JSON but the last; NULL: none */
    bool has_payload;                                    /* input and output were read, too */
    const char *input, *output;                          /* JSON; NULL: none */
    bool has_children;                                   /* where has_payload is */
    bool has_total;                                      /* somebody has added up the tree */
    int64_t total_credits;                               /* micro: with everything below it */
};

struct execution_step {
    int step; /* index in the program */
    enum step_status status;
    int tries;
    int64_t started_ms, completed_ms; /* 0: not yet */
    const char *result, *error;       /* JSON; a sentence */
};

/* With its payload. */
enum err execution_get(struct db *db, void *ctx, const id *workspace, const id *execution,
                       struct execution *exec_r) WARN_UNUSED;
/* What ran it: whose scope a caller needs. */
enum err execution_kind(struct db *db, void *ctx, const id *workspace, const id *execution,
                        enum responder_kind *kind_r) WARN_UNUSED;
/* Those of the `n` that there are, the newest first, without payloads. */
enum err execution_get_all(struct db *db, void *ctx, const id *workspace, const id *ids, size_t n,
                           struct execution **list_r, size_t *count_r) WARN_UNUSED;
/* One of such a list; NULL where it is not there. */
const struct execution *execution_find(const struct execution *list, size_t n, const id *execution);
/* The steps begun, in the order of the program; of an execution that the caller has seen in its workspace. */
enum err execution_steps(struct db *db, void *ctx, const id *execution, struct execution_step **list_r,
                         size_t *count_r) WARN_UNUSED;
