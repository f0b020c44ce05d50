/* Executions of skills as the skills contract shows them, with their children and artifacts. Everything takes
 * the workspace. Results are of ctx. */
#pragma once

#include "run/accept.h"
#include "store/artifact.h"

struct skill_execution {
    id id, tenant_id, workspace_id, principal_id, parent_id;
    const char *slug, *label;
    enum run_source source;
    enum run_state state;
    enum failure_reason reason;
    int64_t started_ms, ended_ms; /* 0: not yet */
    struct usage usage;           /* without the log */
    /* not of children: */
    struct span input, output; /* JSON; absent: none */
    const char *extra, *error; /* JSON; a sentence; NULL: none */
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
/* The execution that a chat's tool call started, of either kind. */
enum err execution_by_tool_call(struct db *db, void *ctx, const id *workspace, const char *tool_call_id,
                                id *execution_r) WARN_UNUSED;
