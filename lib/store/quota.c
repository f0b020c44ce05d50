#include "store/quota.h"

#include <string.h>
#include <talloc.h>

static const char *const names[QUOTAS] = {
    [QUOTA_WORKFLOWS] = "workflows",
    [QUOTA_WORKFLOW_VERSIONS] = "workflow_versions",
    [QUOTA_PROGRAM_BYTES] = "program_bytes",
    [QUOTA_FILES] = "files",
    [QUOTA_TICKETS] = "tickets",
    [QUOTA_SCHEDULES] = "schedules",
    [QUOTA_STREAMS] = "streams",
    [QUOTA_DELAYED_RUNS] = "delayed_runs",
    [QUOTA_WEBHOOKS] = "webhooks",
    [QUOTA_BUDGETS] = "budgets",
    [QUOTA_SIGNAL_TICKETS] = "signal_tickets",
    [QUOTA_BULK_JOBS] = "bulk_jobs",
    [QUOTA_HTTP_REQUESTS] = "http_requests",
    [QUOTA_SANDBOXES] = "sandboxes",
    [QUOTA_SLOW_REQUESTS] = "slow_requests",
    [QUOTA_UPLOADS] = "uploads",
    [QUOTA_HTTP_REQUESTS_GUARANTEED] = "http_requests_guaranteed",
    [QUOTA_SANDBOXES_GUARANTEED] = "sandboxes_guaranteed",
    [QUOTA_UPLOADS_GUARANTEED] = "uploads_guaranteed",
};

const char *quota_name(enum quota quota)
{
    return names[quota];
}

enum quota quota_find(const char *name)
{
    int q = 0;
    while (q < QUOTAS && strcmp(names[q], name) != 0)
        q++;
    return (enum quota)q;
}

bool quota_is_share(enum quota quota)
{
    return quota >= QUOTA_HTTP_REQUESTS && quota <= QUOTA_UPLOADS_GUARANTEED;
}

bool quota_is_minimum(enum quota quota)
{
    return quota >= QUOTA_HTTP_REQUESTS_GUARANTEED && quota <= QUOTA_UPLOADS_GUARANTEED;
}

int64_t quota_pool_size(const struct config *config, enum quota quota)
{
    return quota == QUOTA_HTTP_REQUESTS_GUARANTEED ? config->executor.max_http_in_flight
           : quota == QUOTA_SANDBOXES_GUARANTEED   ? config->executor.max_active
                                                   : config->api.uploads_workers;
}

int64_t quota_setting(const struct config *config, enum quota quota)
{
    const int64_t limits[QUOTAS] = {
        [QUOTA_WORKFLOWS] = config->quotas.workflows,
        [QUOTA_WORKFLOW_VERSIONS] = config->quotas.workflow_versions,
        [QUOTA_PROGRAM_BYTES] = config->quotas.program_bytes,
        [QUOTA_FILES] = config->quotas.files,
        [QUOTA_TICKETS] = config->quotas.tickets,
        [QUOTA_SCHEDULES] = config->quotas.schedules,
        [QUOTA_STREAMS] = config->quotas.streams,
        [QUOTA_DELAYED_RUNS] = config->quotas.delayed_runs,
        [QUOTA_WEBHOOKS] = config->quotas.webhooks,
        [QUOTA_BUDGETS] = config->quotas.budgets,
        [QUOTA_SIGNAL_TICKETS] = config->quotas.signal_tickets,
        [QUOTA_BULK_JOBS] = config->quotas.bulk_jobs,
        [QUOTA_HTTP_REQUESTS] = config->quotas.http_requests,
        [QUOTA_SANDBOXES] = config->quotas.sandboxes,
        [QUOTA_SLOW_REQUESTS] = config->quotas.slow_requests,
        [QUOTA_UPLOADS] = config->quotas.uploads,
        [QUOTA_HTTP_REQUESTS_GUARANTEED] = config->quotas.http_requests_guaranteed,
        [QUOTA_SANDBOXES_GUARANTEED] = config->quotas.sandboxes_guaranteed,
        [QUOTA_UPLOADS_GUARANTEED] = config->quotas.uploads_guaranteed,
    };
    return limits[quota];
}

/* Runs a query with one argument, the workspace, whose first column of the only row is a number. */
static enum err count_for_workspace(struct db *db, void *ctx, enum sql_id query, const id *workspace,
                                    int64_t *used_r)
{
    struct db_value arg = db_id(workspace);
    struct db_rows *rows;
    enum err e = db_run(db, ctx, query, &arg, 1, &rows);
    *used_r = e == OK && rows->count == 1 ? db_int(rows, 0, 0) : 0;
    return e;
}

static void take_row(struct quotas *q, const struct db_rows *rows, size_t row)
{
    enum quota quota = quota_find(db_str(rows, row, QUOTA_GET_NAME));
    if (quota == QUOTAS)
        return; /* of a newer program */
    q->is_set[quota] = !db_cell(rows, row, QUOTA_GET_VALUE)->is_null;
    if (q->is_set[quota])
        q->limits[quota] = db_int(rows, row, QUOTA_GET_VALUE);
    if (quota == QUOTA_PROGRAM_BYTES && !db_cell(rows, row, QUOTA_GET_USED)->is_null)
        q->program_bytes = db_int(rows, row, QUOTA_GET_USED);
}

enum err quota_read(struct db *db, void *ctx, const id *workspace, const struct config *config,
                    struct quotas *quotas_r)
{
    *quotas_r = (struct quotas){.program_bytes = -1};
    for (int q = 0; q < QUOTAS; q++)
        quotas_r->limits[q] = quota_setting(config, (enum quota)q);
    struct db_value arg = db_id(workspace);
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_QUOTA_GET, &arg, 1, &rows);
    for (size_t i = 0; e == OK && i < rows->count; i++)
        take_row(quotas_r, rows, i);
    return e;
}

static enum err check_quota(const struct quotas *q, enum quota quota, int64_t used,
                            struct quota_excess *excess_r)
{
    if (used <= q->limits[quota])
        return OK;
    *excess_r = (struct quota_excess){.quota = quota, .limit = q->limits[quota]};
    return ERR_LIMIT;
}

static enum err store_program_bytes(struct db_tx *tx, const id *workspace, int64_t bytes)
{
    struct db_value args[] = {
        [QUOTA_SET_USED_SET_WORKSPACE_ID] = db_id(workspace),
        [QUOTA_SET_USED_SET_NAME] = db_text(names[QUOTA_PROGRAM_BYTES]),
        [QUOTA_SET_USED_SET_USED] = db_number(bytes),
    };
    return db_run(tx->db, tx->ctx, SQL_QUOTA_SET_USED, args, QUOTA_SET_USED_SET_COUNT, NULL);
}

static enum err check_workflows(struct db_tx *tx, const id *workspace, const struct quotas *q,
                                struct quota_excess *excess_r)
{
    int64_t used;
    enum err e = count_for_workspace(tx->db, tx->ctx, SQL_QUOTA_COUNT_WORKFLOWS, workspace, &used);
    return e == OK ? check_quota(q, QUOTA_WORKFLOWS, used + 1, excess_r) : e;
}

enum err quota_add_version(struct db_tx *tx, const id *workspace, const struct config *config, int version,
                           size_t program_size, struct quota_excess *excess_r)
{
    struct quotas q;
    enum err e = quota_read(tx->db, tx->ctx, workspace, config, &q);
    if (e == OK && version == 1)
        e = check_workflows(tx, workspace, &q, excess_r);
    if (e == OK)
        e = check_quota(&q, QUOTA_WORKFLOW_VERSIONS, version, excess_r);
    if (e == OK && q.program_bytes < 0)
        e = count_for_workspace(tx->db, tx->ctx, SQL_QUOTA_SUM_PROGRAMS, workspace, &q.program_bytes);
    if (e != OK)
        return e;
    int64_t bytes = q.program_bytes + (int64_t)program_size + QUOTA_VERSION_BYTES;
    e = check_quota(&q, QUOTA_PROGRAM_BYTES, bytes, excess_r);
    return e == OK ? store_program_bytes(tx, workspace, bytes) : e;
}

enum err quota_check_files(struct db_tx *tx, const id *workspace, const struct config *config, size_t added,
                           struct quota_excess *excess_r)
{
    struct quotas q;
    int64_t used = 0;
    if (added == 0)
        return OK;
    enum err e = quota_read(tx->db, tx->ctx, workspace, config, &q);
    if (e == OK)
        e = count_for_workspace(tx->db, tx->ctx, SQL_QUOTA_COUNT_FILES, workspace, &used);
    return e == OK ? check_quota(&q, QUOTA_FILES, used + (int64_t)added, excess_r) : e;
}

/* One more of what `query` counts. */
static enum err check_one_more(struct db_tx *tx, const id *workspace, const struct config *config,
                               enum quota quota, enum sql_id query, struct quota_excess *excess_r)
{
    struct quotas q;
    int64_t used = 0;
    enum err e = quota_read(tx->db, tx->ctx, workspace, config, &q);
    if (e == OK)
        e = count_for_workspace(tx->db, tx->ctx, query, workspace, &used);
    return e == OK ? check_quota(&q, quota, used + 1, excess_r) : e;
}

enum err quota_check_schedules(struct db_tx *tx, const id *workspace, const struct config *config,
                               struct quota_excess *excess_r)
{
    return check_one_more(tx, workspace, config, QUOTA_SCHEDULES, SQL_QUOTA_COUNT_SCHEDULES, excess_r);
}

/* What is kept of jobs until retention deletes it takes room in MariaDB, free of charge. */
static enum err check_bulk_kept(struct db_tx *tx, const id *workspace, const struct config *config,
                                struct quota_excess *excess_r)
{
    struct db_value arg = db_id(workspace);
    struct db_rows *rows;
    const int64_t items_max = QUOTA_BULK_KEPT_FACTOR * config->bulk.items_max;
    enum err e = db_run(tx->db, tx->ctx, SQL_QUOTA_SUM_BULK_ITEMS, &arg, 1, &rows);
    if (e != OK)
        return e;
    if (db_int(rows, 0, QUOTA_SUM_BULK_ITEMS_JOBS) >= QUOTA_BULK_KEPT_MAX)
        *excess_r = (struct quota_excess){QUOTA_BULK_JOBS, QUOTA_BULK_KEPT_MAX, "bulk jobs kept"};
    else if (db_int(rows, 0, QUOTA_SUM_BULK_ITEMS_ITEMS) >= items_max)
        *excess_r = (struct quota_excess){QUOTA_BULK_JOBS, items_max, "executions of bulk jobs kept"};
    else
        return OK;
    return ERR_LIMIT;
}

enum err quota_check_bulk_jobs(struct db_tx *tx, const id *workspace, const struct config *config,
                               struct quota_excess *excess_r)
{
    enum err e = check_one_more(tx, workspace, config, QUOTA_BULK_JOBS, SQL_QUOTA_COUNT_BULK_JOBS, excess_r);
    return e == OK ? check_bulk_kept(tx, workspace, config, excess_r) : e;
}

enum err quota_set(struct db_tx *tx, const id *workspace, enum quota quota, bool is_set, int64_t limit)
{
    int64_t bytes = 0;
    struct db_value args[] = {
        [QUOTA_SET_VALUE_SET_WORKSPACE_ID] = db_id(workspace),
        [QUOTA_SET_VALUE_SET_NAME] = db_text(names[quota]),
        [QUOTA_SET_VALUE_SET_VALUE] = db_number_or_null(limit, is_set),
    };
    enum err e = db_run(tx->db, tx->ctx, SQL_QUOTA_SET_VALUE, args, QUOTA_SET_VALUE_SET_COUNT, NULL);
    if (e == OK)
        e = count_for_workspace(tx->db, tx->ctx, SQL_QUOTA_SUM_PROGRAMS, workspace, &bytes);
    return e == OK ? store_program_bytes(tx, workspace, bytes) : e;
}

enum err quota_usage(struct db *db, void *ctx, const id *workspace, int64_t used_r[QUOTAS])
{
    static const enum sql_id queries[QUOTAS] = {
        [QUOTA_WORKFLOWS] = SQL_QUOTA_COUNT_WORKFLOWS,
        [QUOTA_WORKFLOW_VERSIONS] = SQL_QUOTA_MOST_VERSIONS,
        [QUOTA_PROGRAM_BYTES] = SQL_QUOTA_SUM_PROGRAMS,
        [QUOTA_FILES] = SQL_QUOTA_COUNT_FILES,
        [QUOTA_TICKETS] = SQL_QUOTA_COUNT_TICKETS,
        [QUOTA_SCHEDULES] = SQL_QUOTA_COUNT_SCHEDULES,
        [QUOTA_DELAYED_RUNS] = SQL_QUOTA_DELAYED_RUNS,
        [QUOTA_WEBHOOKS] = SQL_QUOTA_COUNT_WEBHOOKS,
        [QUOTA_BUDGETS] = SQL_QUOTA_COUNT_BUDGETS,
        [QUOTA_SIGNAL_TICKETS] = SQL_QUOTA_COUNT_SIGNAL_TICKETS,
        [QUOTA_BULK_JOBS] = SQL_QUOTA_COUNT_BULK_JOBS,
    };
    enum err e = OK;
    for (int q = 0; q < QUOTAS && e == OK; q++) {
        used_r[q] = -1;
        if (q == QUOTA_STREAMS || quota_is_share((enum quota)q))
            continue;
        e = count_for_workspace(db, ctx, queries[q], workspace, &used_r[q]);
    }
    return e;
}
