#include "store/workspace.h"

#include <talloc.h>

#include "account/account.h"
#include "account/credits.h"
#include "base/clock.h"
#include "deed/deed.h"
#include "run/states.h"
#include "spending/budget.h"

static struct db_value limit_value(const struct workspace_limit *l)
{
    return db_number_or_null(l->value, l->is_given && l->is_set);
}

/* --- the audit log --- */

/* As text; NULL: the default applies. */
static const char *limit_text(void *ctx, const struct workspace_limit *l)
{
    return l->is_set ? talloc_asprintf(ctx, "%lld", (long long)l->value) : NULL;
}

/* Records what was given: the name and tenant of a new workspace, and each limit. */
static enum err record_workspace(struct db_tx *tx, const char *deed, const id *workspace, const char *name,
                                 const id *tenant, const struct workspace_limits *l)
{
    const struct {
        const char *name;
        const struct workspace_limit *limit;
    } limits[] = {
        {"rate_limit_per_minute", &l->rate_limit_per_minute},
        {"max_concurrent", &l->max_concurrent},
        {"keep_payload_days", &l->keep_payload_days},
        {"keep_rows_days", &l->keep_rows_days},
    };
    struct deed_detail detail[2 + 4 + 1 + 1 + QUOTAS + 1] = {0};
    char price[CREDITS_TEXT_SIZE];
    size_t n = 0;
    if (name)
        detail[n++] = (struct deed_detail){"name", name};
    if (tenant)
        detail[n++] = (struct deed_detail){"tenant_id", tenant->text};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        if (limits[i].limit->is_given)
            detail[n++] = (struct deed_detail){limits[i].name, limit_text(tx->ctx, limits[i].limit)};
    }
    if (l->price.is_given)
        detail[n++] = (struct deed_detail){"price_credits",
                                           l->price.is_set ? credits_text(l->price.value, price) : NULL};
    if (l->has_timezone)
        detail[n++] = (struct deed_detail){"timezone", l->timezone};
    for (int q = 0; q < QUOTAS; q++) {
        if (l->quotas[q].is_given)
            detail[n++] = (struct deed_detail){quota_name((enum quota)q), limit_text(tx->ctx, &l->quotas[q])};
    }
    return deed_record(tx, deed, workspace, workspace->text, detail);
}

/* --- create --- */

struct workspace_creation {
    const id *workspace, *tenant;
    const char *name;
    const struct workspace_limits *limits;
};

static enum err find_tenant(struct db_tx *tx, const id *tenant)
{
    struct db_value arg = db_id(tenant);
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_TENANT_GET, &arg, 1, &rows);
    return e == OK && rows->count == 0 ? ERR_NOT_FOUND : e;
}

static enum err insert_tenant(struct db_tx *tx, const id *tenant, const char *name)
{
    struct db_value args[] = {
        [TENANT_INSERT_SET_ID] = db_id(tenant),
        [TENANT_INSERT_SET_NAME] = db_text(name),
        [TENANT_INSERT_SET_CREATED_MS] = db_number(clock_wall_ms()),
    };
    return db_run(tx->db, tx->ctx, SQL_TENANT_INSERT, args, TENANT_INSERT_SET_COUNT, NULL);
}

static enum err insert_workspace(struct db_tx *tx, const struct workspace_creation *c, const id *tenant)
{
    struct db_value workspace[] = {
        [WORKSPACE_INSERT_SET_ID] = db_id(c->workspace),
        [WORKSPACE_INSERT_SET_TENANT_ID] = db_id(tenant),
        [WORKSPACE_INSERT_SET_NAME] = db_text(c->name),
        [WORKSPACE_INSERT_SET_CREATED_MS] = db_number(clock_wall_ms()),
    };
    enum err e = db_run(tx->db, tx->ctx, SQL_WORKSPACE_INSERT, workspace, WORKSPACE_INSERT_SET_COUNT, NULL);
    struct db_value account[] = {
        [ACCOUNT_INSERT_SET_WORKSPACE_ID] = db_id(c->workspace),
        [ACCOUNT_INSERT_SET_RATE_LIMIT_PER_MINUTE] = limit_value(&c->limits->rate_limit_per_minute),
        [ACCOUNT_INSERT_SET_MAX_CONCURRENT] = limit_value(&c->limits->max_concurrent),
        [ACCOUNT_INSERT_SET_PRICE] = limit_value(&c->limits->price),
    };
    return e == OK ? db_run(tx->db, tx->ctx, SQL_ACCOUNT_INSERT, account, ACCOUNT_INSERT_SET_COUNT, NULL) : e;
}

/* True in *found_r if an earlier attempt of this transaction was committed. */
static enum err find_committed_workspace(struct db_tx *tx, const id *workspace, bool *found_r)
{
    struct account *a;
    size_t n;
    enum err e = account_lock(tx, tx->ctx, workspace, 1, &a, &n);
    *found_r = e == OK && n == 1;
    return e;
}

static enum err workspace_create_work(struct db_tx *tx, void *arg)
{
    const struct workspace_creation *c = arg;
    bool found = false;
    enum err e = tx->settling ? find_committed_workspace(tx, c->workspace, &found) : OK;
    if (e != OK || found)
        return e;
    id made = id_new();
    const id *tenant = id_is_set(c->tenant) ? c->tenant : &made;
    e = id_is_set(c->tenant) ? find_tenant(tx, c->tenant) : insert_tenant(tx, tenant, c->name);
    if (e == OK)
        e = insert_workspace(tx, c, tenant);
    return e == OK ? record_workspace(tx, "workspace.create", c->workspace, c->name, tenant, c->limits) : e;
}

enum err workspace_create(struct db *db, const id *workspace, const id *tenant, const char *name,
                          const struct workspace_limits *limits)
{
    struct workspace_creation c = {workspace, tenant, name, limits};
    return db_transaction(db, workspace_create_work, &c);
}

/* --- limits --- */

struct workspace_change {
    const id *workspace;
    const struct workspace_limits *limits;
};

/* Counts the roots that are not terminal, and writes them. A transaction that ends a run writes its row,
 * after it has read whether max_concurrent is set: it has ended before, or it waits for this commit, or, on
 * another server, one of the two fails. So no end is missed. */
static enum err count_active(struct db_tx *tx, const id *workspace, int64_t *active_r)
{
    struct db_value arg = db_id(workspace);
    struct db_rows *open, *written;
    enum err e = db_run(tx->db, tx->ctx, SQL_EXECUTION_OPEN_ROOTS, &arg, 1, &open);
    if (e != OK)
        return e;
    struct db_value *ids = talloc_array(tx->ctx, struct db_value, open->count + 1);
    for (size_t i = 0; i < open->count; i++)
        ids[i] = db_text(db_str(open, i, EXECUTION_OPEN_ROOTS_ID));
    e = db_run_each(tx->db, tx->ctx, SQL_EXECUTION_TOUCH_OPEN, NULL, 0, ids, 1, open->count, &written);
    *active_r = e == OK ? (int64_t)written->affected : 0;
    return e;
}

static enum err set_retention(struct db_tx *tx, const id *workspace, const struct workspace_limits *l)
{
    struct db_value args[] = {
        [RETENTION_SET_SET_WORKSPACE_ID] = db_id(workspace),
        [RETENTION_SET_SET_KEEP_PAYLOAD_DAYS] = limit_value(&l->keep_payload_days),
        [RETENTION_SET_SET_KEEP_ROWS_DAYS] = limit_value(&l->keep_rows_days),
        [RETENTION_SET_SET_COUNT] = db_number(l->keep_payload_days.is_given),
        [RETENTION_SET_SET_COUNT + 1] = db_number(l->keep_rows_days.is_given),
    };
    return l->keep_payload_days.is_given || l->keep_rows_days.is_given
               ? db_run(tx->db, tx->ctx, SQL_RETENTION_SET, args, RETENTION_SET_SET_COUNT + 2, NULL)
               : OK;
}

static enum err set_quotas(struct db_tx *tx, const id *workspace, const struct workspace_limits *l)
{
    enum err e = OK;
    for (int q = 0; q < QUOTAS && e == OK; q++) {
        const struct workspace_limit *limit = &l->quotas[q];
        if (limit->is_given)
            e = quota_set(tx, workspace, (enum quota)q, limit->is_set, limit->value);
    }
    return e;
}

static enum err workspace_limits_work(struct db_tx *tx, void *arg)
{
    const struct workspace_change *c = arg;
    const struct workspace_limits *l = c->limits;
    struct account *a;
    size_t n;
    enum err e = account_lock(tx, tx->ctx, c->workspace, 1, &a, &n);
    if (e != OK || n == 0)
        return e == OK ? ERR_NOT_FOUND : e;
    int64_t active = 0;
    if (l->has_timezone)
        e = budget_begin_periods(tx, a);
    if (e == OK && l->max_concurrent.is_given && l->max_concurrent.is_set)
        e = count_active(tx, c->workspace, &active);
    if (e != OK)
        return e;
    struct db_value args[] = {
        db_number(l->rate_limit_per_minute.is_given),
        limit_value(&l->rate_limit_per_minute),
        db_number(l->price.is_given),
        limit_value(&l->price),
        db_number(l->max_concurrent.is_given),
        limit_value(&l->max_concurrent),
        db_number(l->max_concurrent.is_given),
        db_number(active),
        db_number(l->has_timezone),
        db_text(l->timezone),
        db_id(c->workspace),
    };
    e = db_run(tx->db, tx->ctx, SQL_ACCOUNT_LIMITS, args, sizeof args / sizeof args[0], NULL);
    if (e == OK)
        e = set_retention(tx, c->workspace, l);
    if (e == OK)
        e = set_quotas(tx, c->workspace, l);
    return e == OK ? record_workspace(tx, "workspace.set", c->workspace, NULL, NULL, l) : e;
}

enum err workspace_set_limits(struct db *db, const id *workspace, const struct workspace_limits *limits)
{
    struct workspace_change c = {workspace, limits};
    return db_transaction(db, workspace_limits_work, &c);
}

/* --- list --- */

static struct workspace_limit limit_of(const struct db_rows *rows, size_t row, size_t column)
{
    const struct db_cell *c = db_cell(rows, row, column);
    return (struct workspace_limit){.is_given = true, .is_set = !c->is_null, .value = c->number};
}

enum err workspace_list(struct db *db, void *ctx, const id *workspace, struct workspace **list_r,
                        size_t *count_r)
{
    struct db_value one = workspace ? db_id(workspace) : db_null();
    struct db_value args[] = {one, one};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_WORKSPACE_LIST, args, 2, &rows);
    if (e != OK)
        return e;
    struct workspace *list = talloc_zero_array(ctx, struct workspace, rows->count + 1);
    for (size_t i = 0; i < rows->count; i++) {
        list[i] = (struct workspace){
            .id = db_get_id(rows, i, WORKSPACE_LIST_ID),
            .tenant_id = db_get_id(rows, i, WORKSPACE_LIST_TENANT_ID),
            .name = db_str(rows, i, WORKSPACE_LIST_NAME),
            .created_ms = db_int(rows, i, WORKSPACE_LIST_CREATED_MS),
            .balance = db_int(rows, i, WORKSPACE_LIST_BALANCE),
            .active = db_int(rows, i, WORKSPACE_LIST_ACTIVE),
            .frozen = (enum frozen)db_int(rows, i, WORKSPACE_LIST_FROZEN),
            .limits.rate_limit_per_minute = limit_of(rows, i, WORKSPACE_LIST_RATE_LIMIT_PER_MINUTE),
            .limits.max_concurrent = limit_of(rows, i, WORKSPACE_LIST_MAX_CONCURRENT),
            .limits.price = limit_of(rows, i, WORKSPACE_LIST_PRICE),
            .limits.keep_payload_days = limit_of(rows, i, WORKSPACE_LIST_KEEP_PAYLOAD_DAYS),
            .limits.keep_rows_days = limit_of(rows, i, WORKSPACE_LIST_KEEP_ROWS_DAYS),
            .limits.timezone = db_str(rows, i, WORKSPACE_LIST_TIMEZONE),
        };
    }
    *list_r = list;
    *count_r = rows->count;
    return workspace && rows->count == 0 ? ERR_NOT_FOUND : OK;
}
