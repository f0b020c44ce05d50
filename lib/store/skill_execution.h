/* Executions of skills as the skills API shows them, with their children and artifacts. Every function takes
 * the workspace. Results are allocated on ctx. */
#pragma once

#include "base/span.h"
#include "store/artifact.h"

struct skill_execution {
    id id, tenant_id, workspace_id, principal_id, parent_id;
    const char *slug, *label;
    enum run_source source;
    enum run_state state;
    enum failure_reason reason;
    /* Wall time; 0: not yet. */
    int64_t started_ms, ended_ms;
    /* Without the log. */
    struct usage usage;

    /* The fields below are not set in children. */

    /* JSON; absent: none. */
    struct span input, output;
    /* JSON (lib/skill/extra.h); NULL: none. */
    const char *extra;
    /* A sentence; NULL: none. */
    const char *error;
    const char *thread_id, *tool_call_id;
    id message_id;
    const struct skill_execution *children;
    size_t children_n;
    const struct artifact *artifacts;
    size_t artifacts_n;
};

/* ERR_NOT_FOUND also for an execution of a workflow. */
enum err skill_execution_get(struct db *db, void *ctx, const id *workspace, const id *execution,
                             struct skill_execution *exec_r) WARN_UNUSED;
/* The execution, of either kind, that a chat's tool call started. ERR_NOT_FOUND: none. */
enum err execution_by_tool_call(struct db *db, void *ctx, const id *workspace, const char *tool_call_id,
                                id *execution_r) WARN_UNUSED;
