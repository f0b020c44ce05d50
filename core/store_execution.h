/* Executions as they are read: one, or a page of them. Everything takes the workspace. Results are of ctx.
 * How they change: core/accept_run.h and core/run_write.h. */
#pragma once

#include "core/db.h"
#include "core/states.h"

struct execution {
    id id, workspace_id, responder_id, root_id, parent_id, retry_of;
    enum responder_kind kind;
    enum run_source source;
    bool agentic;
    int version;
    enum state state;
    enum failure_reason reason;
    int64_t cost, refunded;                              /* micro */
    int64_t started_ms, ended_ms, updated_ms, purged_ms; /* 0: not yet */
    const char *responder_name;                          /* NULL where there is none any more */
    const char *tags, *metadata, *extra, *error;         /* JSON but the last; NULL: none */
    bool has_payload;                                    /* input and output were read, too */
    const char *input, *output;                          /* JSON; NULL: none */
};

struct execution_step {
    int step; /* index in the program */
    enum step_status status;
    int tries;
    int64_t started_ms, completed_ms; /* 0: not yet */
    const char *result, *error;       /* JSON; a sentence */
};

enum { EXECUTION_RESPONDERS_MAX = 64, EXECUTION_TAG_MAX = 256 };

struct execution_filter {
    const id *responders;
    size_t responders_n; /* 0: any; at most EXECUTION_RESPONDERS_MAX */
    enum state states[2];
    size_t states_n; /* 0: any */
    const char *tag; /* NULL: any */
    id parent;
    id above, below;       /* ids strictly between; unset: no bound */
    int64_t offset, limit; /* newest first */
};

/* With its payload. */
enum err execution_get(struct db *db, void *ctx, const id *workspace, const id *execution,
                       struct execution *x_r) WARN_UNUSED;
/* What ran it: whose scope a caller needs. */
enum err execution_kind(struct db *db, void *ctx, const id *workspace, const id *execution,
                        enum responder_kind *kind_r) WARN_UNUSED;
/* A page, the newest first, without payloads. */
enum err execution_list(struct db *db, void *ctx, const id *workspace, const struct execution_filter *f,
                        struct execution **list_r, size_t *count_r) WARN_UNUSED;
/* The steps begun, in the order of the program; of an execution that the caller has seen in its workspace. */
enum err execution_steps(struct db *db, void *ctx, const id *execution, struct execution_step **list_r,
                         size_t *count_r) WARN_UNUSED;
