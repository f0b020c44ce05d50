/* Quotas: limits, per workspace, of what is free of charge. The settings of the section [quotas] are the
 * limits; the operator may set others for a workspace. Limits are checked under the account's lock, in the
 * transaction that adds, except where said. */
#pragma once

#include "base/config.h"
#include "mariadb/db.h"

enum quota {
    /* Workflows that are not archived. */
    QUOTA_WORKFLOWS,
    /* Versions of one workflow. */
    QUOTA_WORKFLOW_VERSIONS,
    /* Bytes of the programs of all versions, archived workflows included; each version counts
     * QUOTA_VERSION_BYTES more. The usage is a counter in the table. */
    QUOTA_PROGRAM_BYTES,
    /* Files of all principals. */
    QUOTA_FILES,
    /* Tickets for event streams. Checked without a lock, so requests at the same moment may exceed it. */
    QUOTA_TICKETS,
    /* Schedules. */
    QUOTA_SCHEDULES,
    /* Event streams and waits that are open, on each host. The event daemon checks it. */
    QUOTA_STREAMS,
    /* Runs that wait for their start. Checked when a run is accepted (lib/run/accept.h). */
    QUOTA_DELAYED_RUNS,
    /* Endpoints of webhooks. */
    QUOTA_WEBHOOKS,
    /* Budgets (lib/spending/budget_store.h). */
    QUOTA_BUDGETS,
    /* Tickets for signals that are open. Checked under the lock of one run, so requests for several runs at
     * the same moment may exceed it (lib/run/signal_ticket.h). */
    QUOTA_SIGNAL_TICKETS,
    /* Bulk jobs that have not ended. */
    QUOTA_BULK_JOBS,
    /* Units of shared pools that a workspace holds at a time, however much is idle (docs/isolation.md,
     * "Shares"), at least 1: HTTP requests in flight and sandboxes of commands, of each executor process;
     * slow requests that run and uploads, on each host of the API. lib/store/share_limits.h reads them. */
    QUOTA_HTTP_REQUESTS,
    QUOTA_SANDBOXES,
    QUOTA_SLOW_REQUESTS,
    QUOTA_UPLOADS,
    /* Its minimum of such a pool: below it, a workspace may take the units that are left to those below their
     * minimum. Never less than that of every workspace. */
    QUOTA_HTTP_REQUESTS_GUARANTEED,
    QUOTA_SANDBOXES_GUARANTEED,
    QUOTA_UPLOADS_GUARANTEED,
    QUOTAS
};

enum { QUOTA_VERSION_BYTES = 1024, QUOTA_MAX = 1000000000 };

struct quotas {
    int64_t limits[QUOTAS];
    /* The operator set the limit of this workspace. */
    bool is_set[QUOTAS];
    /* -1: not counted yet. */
    int64_t program_bytes;
};

/* A quota that a change would exceed. */
struct quota_excess {
    enum quota quota;
    int64_t limit;
    /* What the limit is of, where it is no quota of the table; NULL: quota_name(quota). */
    const char *name;
};

/* The name in the table, in the settings and in responses; static memory. */
const char *quota_name(enum quota quota);

/* The name's quota; QUOTAS: there is none. */
enum quota quota_find(const char *name);
/* The limit that the settings give. */
int64_t quota_setting(const struct config *config, enum quota quota);
/* True for units of shared pools, and their minima. */
bool quota_is_share(enum quota quota);
/* True for the minima. */
bool quota_is_minimum(enum quota quota);
/* The units that a pool of one process or host has, by the settings; only of minima. */
int64_t quota_pool_size(const struct config *config, enum quota quota);

/* The limits of a workspace, out of the settings and the table. */
enum err quota_read(struct db *db, void *ctx, const id *workspace, const struct config *config,
                    struct quotas *quotas_r) WARN_UNUSED;

/* Adds a version of a program to the usage. Call it under the account's lock, before the version is inserted.
 * `version` is its number; 1: of a new workflow. ERR_LIMIT: *excess_r names the quota. */
enum err quota_add_version(struct db_tx *tx, const id *workspace, const struct config *config, int version,
                           size_t program_size, struct quota_excess *excess_r) WARN_UNUSED;
/* Checks that `added` files may be added. Call it under the account's lock. ERR_LIMIT as above. */
enum err quota_check_files(struct db_tx *tx, const id *workspace, const struct config *config, size_t added,
                           struct quota_excess *excess_r) WARN_UNUSED;

/* Checks that one more schedule may be added. Call it under the account's lock. ERR_LIMIT as above. */
enum err quota_check_schedules(struct db_tx *tx, const id *workspace, const struct config *config,
                               struct quota_excess *excess_r) WARN_UNUSED;

/* The same for one more bulk job. Also limits what is kept of the workspace's jobs until retention deletes
 * it: QUOTA_BULK_KEPT_MAX jobs, and QUOTA_BULK_KEPT_FACTOR times `bulk.items_max` items; a job may begin
 * while both are below. */
enum { QUOTA_BULK_KEPT_MAX = 10000, QUOTA_BULK_KEPT_FACTOR = 3 };
enum err quota_check_bulk_jobs(struct db_tx *tx, const id *workspace, const struct config *config,
                               struct quota_excess *excess_r) WARN_UNUSED;

/* Sets a limit of the workspace, or, without `is_set`, lets the setting apply again. Also counts the bytes of
 * programs again. Call it under the account's lock. */
enum err quota_set(struct db_tx *tx, const id *workspace, enum quota quota, bool is_set,
                   int64_t limit) WARN_UNUSED;
/* What the workspace has of each, counted now. QUOTA_WORKFLOW_VERSIONS: of the workflow with most.
 * QUOTA_STREAMS, and units of shared pools: -1, because only the daemons know. */
enum err quota_usage(struct db *db, void *ctx, const id *workspace, int64_t used_r[QUOTAS]) WARN_UNUSED;
