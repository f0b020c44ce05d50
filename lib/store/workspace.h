/* Workspaces: their rows, and the limits of their accounts. For operators only. */
#pragma once

#include "mariadb/db.h"
#include "store/quota.h"

struct workspace_limit {
    /* False: the limit is not changed. */
    bool is_given;
    /* False: there is no limit, or the general setting applies. */
    bool is_set;
    int64_t value;
};
struct workspace_limits {
    struct workspace_limit rate_limit_per_minute, max_concurrent;
    /* Micro-credits. */
    struct workspace_limit price;
    /* Retention of runs, see lib/maintenance/retention.h. workspace_create ignores both. */
    struct workspace_limit keep_payload_days, keep_rows_days;
    /* Of the days and months of budgets: a name of the IANA database; NULL: UTC. workspace_create ignores it.
     */
    bool has_timezone;
    const char *timezone;
    /* By enum quota. workspace_create ignores them, and workspace_list does not read them. */
    struct workspace_limit quotas[QUOTAS];
};

/* accounts.frozen: the workspace is being moved to another cell, or was moved (docs/scaling.md). */
enum frozen { FROZEN_NOT = 0, FROZEN_EXPORTED = 1, FROZEN_IMPORTING = 2, FROZEN_DISCARDED = 3 };

struct workspace {
    id id, tenant_id;
    const char *name;
    int64_t created_ms, balance, active;
    enum frozen frozen;
    struct workspace_limits limits;
};

/* Creates a workspace with its account, and also its tenant if `tenant` is unset. The caller chooses the
 * workspace's id. ERR_NOT_FOUND: no such tenant. */
enum err workspace_create(struct db *db, const id *workspace, const id *tenant, const char *name,
                          const struct workspace_limits *limits) WARN_UNUSED;

/* Changes the limits that are given. If max_concurrent is given, the workspace's active roots are counted
 * again, exactly. ERR_NOT_FOUND: no such workspace. */
enum err workspace_set_limits(struct db *db, const id *workspace,
                              const struct workspace_limits *limits) WARN_UNUSED;

/* One workspace (ERR_NOT_FOUND: no such workspace), or, with NULL, all. On ctx. */
enum err workspace_list(struct db *db, void *ctx, const id *workspace, struct workspace **list_r,
                        size_t *count_r) WARN_UNUSED;
