/* A page of a workspace's executions, by filters. Results are of ctx. */
#pragma once

#include "store/execution.h"

enum { EXECUTION_RESPONDERS_MAX = 64, EXECUTION_TAG_MAX = 256 };

struct execution_filter {
    const id *responders;
    size_t responders_n; /* 0: any; at most EXECUTION_RESPONDERS_MAX */
    enum run_state states[2];
    size_t states_n; /* 0: any */
    const char *tag; /* NULL: any */
    id parent;
    id above, below;       /* ids strictly between; unset: no bound */
    int64_t offset, limit; /* newest first */
};

/* A page, the newest first, without payloads. */
enum err execution_list(struct db *db, void *ctx, const id *workspace, const struct execution_filter *f,
                        struct execution **list_r, size_t *count_r) WARN_UNUSED;
