/* Workspaces: their rows, and the limits on their accounts. Operators only. */
#pragma once

#include "mariadb/db.h"

struct workspace_limit {
    bool is_given; /* else it stays as it is */
    bool is_set;   /* else there is none, or the general one */
    int64_t value;
};
struct workspace_limits {
    struct workspace_limit rate_limit_per_minute, max_concurrent, price /* micro-credits */;
    struct workspace_limit keep_payload_days,
        keep_rows_days; /* of runs, see lib/maintenance/retention.h; not when one is made */
};

struct workspace {
    id id, tenant_id;
    const char *name;
    int64_t created_ms, balance, active;
    struct workspace_limits limits;
};

/* Makes a workspace with its account, and its tenant where `tenant` is not set. The ids are chosen by the
 * caller. ERR_NOT_FOUND: there is no such tenant. */
enum err workspace_create(struct db *db, const id *workspace, const id *tenant, const char *name,
                          const struct workspace_limits *limits) WARN_UNUSED;

/* Changes the limits that are given. With max_concurrent the workspace's active roots are counted anew,
 * exactly. ERR_NOT_FOUND: no such workspace. */
enum err workspace_set_limits(struct db *db, const id *workspace,
                              const struct workspace_limits *limits) WARN_UNUSED;

/* One workspace (ERR_NOT_FOUND where there is none), or, with NULL, all. Of ctx. */
enum err workspace_list(struct db *db, void *ctx, const id *workspace, struct workspace **list_r,
                        size_t *count_r) WARN_UNUSED;
