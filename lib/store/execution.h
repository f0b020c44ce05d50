/* Reads executions. Pages of them: lib/store/execution_list.h. Changes: lib/run/accept.h and
 * lib/run/run_tx.h. Every function takes the workspace unless it says otherwise. Results are allocated on
 * ctx. */
#pragma once

#include "base/trace.h"
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
    /* Micro-credits. */
    int64_t cost, refunded;
    /* Wall time; 0: not yet. */
    int64_t started_ms, ended_ms, updated_ms, purged_ms;
    /* As accepted or moved, wall time; 0: none. */
    int64_t start_at_ms, expires_at_ms;
    /* A workflow's name or a skill's slug. Not read here; the code that shows the execution sets it. */
    const char *responder_name;
    /* JSON; NULL: none. */
    const char *tags, *metadata, *extra;
    /* A sentence; NULL: none. */
    const char *error;
    /* Always set. */
    struct trace_context trace;
    /* A trace is stored: it is not only that of the root. */
    bool has_trace;
    /* The caller's, which execution_read_trace_state reads; NULL: none. */
    const char *trace_state;
    /* input, output, has_children and retries were read, too. */
    bool has_payload;
    /* JSON; NULL: none. */
    const char *input, *output;
    bool has_children;
    /* At most 100 retries of it, newest first. */
    id *retries;
    size_t retries_n;
    /* total_credits is set. */
    bool has_total;
    /* Micro-credits, including all descendants. */
    int64_t total_credits;
};

struct db_cell;
/* The trace of an execution: as stored in the cell, or that of its root. */
struct trace_context execution_trace(const struct db_cell *stored, const id *root);

struct execution_step {
    /* Index in the program. */
    int step;
    enum step_status status;
    int tries;
    /* Wall time; 0: not yet. */
    int64_t started_ms, completed_ms;
    /* JSON. */
    const char *result;
    /* A sentence. */
    const char *error;
};

/* With its payload. ERR_NOT_FOUND: the workspace has no such execution. */
enum err execution_get(struct db *db, void *ctx, const id *workspace, const id *execution,
                       struct execution *exec_r) WARN_UNUSED;
/* The state of the trace, which only a retry needs. */
enum err execution_read_trace_state(struct db *db, void *ctx, struct execution *exec) WARN_UNUSED;
/* The kind of responder, which decides the scope that a caller needs. ERR_NOT_FOUND as above. */
enum err execution_kind(struct db *db, void *ctx, const id *workspace, const id *execution,
                        enum responder_kind *kind_r) WARN_UNUSED;
/* What the caller of a run learns: id, kind, state, reason, error, output, costs and purged_ms; and the API
 * key that started it (unset: none). ERR_NOT_FOUND as above. */
enum err execution_outcome(struct db *db, void *ctx, const id *workspace, const id *execution,
                           struct execution *exec_r, id *key_r) WARN_UNUSED;
/* Those of the `n` ids that exist, newest first, without payloads. */
enum err execution_get_all(struct db *db, void *ctx, const id *workspace, const id *ids, size_t n,
                           struct execution **list_r, size_t *count_r) WARN_UNUSED;
/* The same for rows of execution_page and its kind, which are newest first. Reads them again, by their ids,
 * if one of them may have times. */
enum err execution_read_page(struct db *db, void *ctx, const id *workspace, const struct db_rows *rows,
                             struct execution **list_r, size_t *count_r) WARN_UNUSED;
/* Binary search in a list of execution_get_all. NULL: not in the list. */
const struct execution *execution_find(const struct execution *list, size_t n, const id *execution);
/* The same without results, errors and times. As below. */
enum err execution_step_states(struct db *db, void *ctx, const id *execution, struct execution_step **list_r,
                               size_t *count_r) WARN_UNUSED;
/* The steps that have begun, in the order of the program. Takes no workspace: the caller must have found the
 * execution in its workspace. */
enum err execution_steps(struct db *db, void *ctx, const id *execution, struct execution_step **list_r,
                         size_t *count_r) WARN_UNUSED;
