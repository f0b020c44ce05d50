/* The load that each workspace puts on the installation, for operators. Read from MariaDB without locks: one
 * scan of the queue's index, of `waits`, and of the runs of the last minute, as GET /metrics does. */
#pragma once

#include "mariadb/db.h"

struct workspace_load {
    id id;
    const char *name;
    int64_t created_ms;
    /* Micro-credits. */
    int64_t balance;
    /* -1: not set */
    int64_t rate_limit_per_minute, max_concurrent;
    /* Runs that can be claimed, that executors have, and that wait. */
    int64_t queued, running, waiting;
    /* How long ago the first of the queued runs was accepted; -1: none is queued. */
    int64_t oldest_queued_ms;
    /* Runs accepted within the last minute, and of these, those that have ended and that have failed. */
    int64_t accepted, ended, failed;
};

struct workspace_load_query {
    /* By id, after this one (unset: from the first). Ignored if by_load. */
    id after;
    /* Only workspaces whose name contains it, in any case of letters, or whose id it is; NULL: all. Ignored
     * if by_load. */
    const char *text;
    /* The workspaces with the most queued and running runs, then those without any. */
    bool by_load;
    size_t limit;
};

/* At most `limit` workspaces, on ctx. */
enum err workspace_load_list(struct db *db, void *ctx, const struct workspace_load_query *q,
                             struct workspace_load **list_r, size_t *n_r) WARN_UNUSED;
/* One workspace. ERR_NOT_FOUND: there is none with this id. */
enum err workspace_load_get(struct db *db, void *ctx, const id *workspace,
                            struct workspace_load *load_r) WARN_UNUSED;
