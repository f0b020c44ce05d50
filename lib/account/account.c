#include "account/account.h"

#include <string.h>
#include <talloc.h>

#include "redis/keys.h"

enum { PUBLISH_MAX = 64 /* balances in one call of the script */ };

/* --- which locked accounts are not written yet --- */

struct locked_account {
    id workspace_id;
    bool is_written;
};

/* of the transaction's ctx */
struct locked_accounts {
    struct locked_account *list;
    size_t n;
};

static void mark_as_written(struct db_tx *tx, const id *workspace)
{
    struct locked_accounts *locked = tx->write_locked_arg;
    for (size_t i = 0; locked && i < locked->n; i++) {
        if (!locked->list[i].is_written && id_equal(&locked->list[i].workspace_id, workspace)) {
            locked->list[i].is_written = true;
            tx->unwritten--;
        }
    }
}

/* db_tx.write_locked. After a rollback to the beginning of the work, all locked accounts are written. */
static enum err write_unwritten(struct db_tx *tx, void *arg)
{
    struct locked_accounts *locked = arg;
    bool all = tx->unwritten == 0;
    struct db_value *values = talloc_array(tx->ctx, struct db_value, locked->n + 1);
    size_t n = 0;
    for (size_t i = 0; i < locked->n; i++) {
        if (all || !locked->list[i].is_written)
            values[n++] = db_id(&locked->list[i].workspace_id);
        locked->list[i].is_written = true;
    }
    tx->unwritten = 0;
    return db_run_each(tx->db, tx->ctx, SQL_ACCOUNT_TOUCH, NULL, 0, values, 1, n, NULL);
}

static void remember_lock(struct db_tx *tx, const id *workspace)
{
    if (!tx->write_locked) {
        tx->write_locked = write_unwritten;
        tx->write_locked_arg = talloc_zero(tx->ctx, struct locked_accounts);
    }
    struct locked_accounts *locked = tx->write_locked_arg;
    for (size_t i = 0; i < locked->n; i++) {
        if (id_equal(&locked->list[i].workspace_id, workspace))
            return;
    }
    if (locked->n == talloc_array_length(locked->list))
        locked->list = talloc_realloc(locked, locked->list, struct locked_account, 2 * locked->n + 8);
    locked->list[locked->n++] = (struct locked_account){.workspace_id = *workspace};
    tx->unwritten++;
}

/* --- locking and writing --- */

static enum err lock_with(struct db_tx *tx, void *ctx, enum sql_id query, const id *workspaces, size_t n,
                          struct account **accounts_r, size_t *accounts_n_r)
{
    id *ids = talloc_array(tx->ctx, id, n + 1);
    struct db_value *values = talloc_array(tx->ctx, struct db_value, n + 1);
    memcpy(ids, workspaces, sizeof *ids * n);
    size_t distinct = id_sort_distinct(ids, n);
    for (size_t i = 0; i < distinct; i++)
        values[i] = db_id(&ids[i]);
    struct db_rows *rows;
    enum err e = db_run_each(tx->db, tx->ctx, query, NULL, 0, values, 1, distinct, &rows);
    if (e != OK)
        return e;
    struct account *accounts = talloc_zero_array(ctx, struct account, rows->count + 1);
    size_t found = 0;
    for (size_t i = 0; i < rows->count; i++) {
        if (db_int(rows, i, ACCOUNT_LOCK_FROZEN) != 0) {
            if (query == SQL_ACCOUNT_LOCK)
                return ERR_FROZEN;
            continue; /* as if another transaction held it */
        }
        accounts[found] = (struct account){
            .workspace_id = db_get_id(rows, i, ACCOUNT_LOCK_WORKSPACE_ID),
            .balance = db_int(rows, i, ACCOUNT_LOCK_BALANCE),
            .version = db_int(rows, i, ACCOUNT_LOCK_VERSION),
            .active = db_int(rows, i, ACCOUNT_LOCK_ACTIVE),
            .delayed = db_int(rows, i, ACCOUNT_LOCK_DELAYED_RUNS),
            .max_concurrent = db_int(rows, i, ACCOUNT_LOCK_MAX_CONCURRENT),
            .price = db_int_or(rows, i, ACCOUNT_LOCK_PRICE, -1),
            .catalog_version = db_int(rows, i, ACCOUNT_LOCK_RESPONDERS),
            .head_grant = db_get_id(rows, i, ACCOUNT_LOCK_HEAD_GRANT),
            .head_remaining = db_int(rows, i, ACCOUNT_LOCK_HEAD_REMAINING),
            .next_change_ms = db_int(rows, i, ACCOUNT_LOCK_NEXT_CHANGE_MS),
            .budgets = (uint32_t)db_int(rows, i, ACCOUNT_LOCK_BUDGETS),
            .prices = (uint32_t)db_int(rows, i, ACCOUNT_LOCK_PRICES),
            .alerts =
                {
                    .flags = (uint32_t)db_int(rows, i, ACCOUNT_LOCK_ALERTS),
                    .below = db_int(rows, i, ACCOUNT_LOCK_ALERT_BELOW),
                    .above = db_int(rows, i, ACCOUNT_LOCK_ALERT_ABOVE),
                    .spent = db_int(rows, i, ACCOUNT_LOCK_SPENT),
                    .until_ms = db_int(rows, i, ACCOUNT_LOCK_SPENT_UNTIL_MS),
                    .spent_line = db_int(rows, i, ACCOUNT_LOCK_SPENT_LINE),
                },
            .timezone = talloc_strdup(accounts, db_str(rows, i, ACCOUNT_LOCK_TIMEZONE)),
            .now_ms = db_int(rows, i, ACCOUNT_LOCK_NOW_MS),
        };
        remember_lock(tx, &accounts[found++].workspace_id);
    }
    *accounts_r = accounts;
    *accounts_n_r = found;
    return OK;
}

enum err account_lock(struct db_tx *tx, void *ctx, const id *workspaces, size_t n,
                      struct account **accounts_r, size_t *accounts_n_r)
{
    return lock_with(tx, ctx, SQL_ACCOUNT_LOCK, workspaces, n, accounts_r, accounts_n_r);
}

enum err account_lock_free(struct db_tx *tx, void *ctx, const id *workspaces, size_t n,
                           struct account **accounts_r, size_t *accounts_n_r)
{
    return lock_with(tx, ctx, SQL_ACCOUNT_LOCK_FREE, workspaces, n, accounts_r, accounts_n_r);
}

int account_busy_pause_ms(unsigned tries)
{
    return tries < 6 ? 1 << tries : ACCOUNT_BUSY_PAUSE_MAX_MS;
}

struct account *account_find(struct account *accounts, size_t n, const id *workspace)
{
    for (size_t i = 0; i < n; i++) {
        if (id_equal(&accounts[i].workspace_id, workspace))
            return &accounts[i];
    }
    return NULL;
}

enum err account_add_ledger_entries(struct db_tx *tx, const struct account *accounts, size_t accounts_n,
                                    const struct ledger_entry *entries, size_t n)
{
    struct ledger_owner *owners = talloc_zero_array(tx->ctx, struct ledger_owner, accounts_n + 1);
    for (size_t i = 0; i < accounts_n; i++) {
        const struct account *a = &accounts[i];
        owners[i] = (struct ledger_owner){.workspace_id = a->workspace_id, .timezone = a->timezone};
        if (a->grants) {
            owners[i].parts = a->grants->parts;
            owners[i].parts_n = a->grants->parts_n;
        }
    }
    return ledger_add(tx, owners, accounts_n, entries, n);
}

static struct db_value time_or_null(int64_t ms)
{
    return db_number_or_null(ms, ms != 0);
}

static void fill_grant(struct db_value *v, const id *workspace, const struct grant *g)
{
    v[GRANTS_PUT_SET_WORKSPACE_ID] = db_id(workspace);
    v[GRANTS_PUT_SET_ID] = db_id(&g->id);
    v[GRANTS_PUT_SET_STATE] = db_number(g->state);
    v[GRANTS_PUT_SET_CATEGORY] = db_number(g->category);
    v[GRANTS_PUT_SET_PRIORITY] = db_number(g->priority);
    v[GRANTS_PUT_SET_AMOUNT] = db_number(g->amount);
    v[GRANTS_PUT_SET_REMAINING] = db_number(g->remaining);
    v[GRANTS_PUT_SET_EFFECTIVE_MS] = db_number(g->effective_ms);
    v[GRANTS_PUT_SET_EXPIRES_MS] = time_or_null(g->expires_ms);
    v[GRANTS_PUT_SET_CREATED_MS] = db_number(g->created_ms);
    v[GRANTS_PUT_SET_ENDED_MS] = time_or_null(g->ended_ms);
    v[GRANTS_PUT_SET_ENDED_BY] = db_id(&g->ended_by);
    v[GRANTS_PUT_SET_REFUND_OF] = db_id(&g->refund_of);
    v[GRANTS_PUT_SET_NOTE] = db_text(g->note);
}

static enum err write_grants_of(struct db_tx *tx, const struct account *a)
{
    const struct account_grants *open = a->grants;
    struct db_value *grants = talloc_array(tx->ctx, struct db_value, open->n * GRANTS_PUT_SET_COUNT + 1);
    struct db_value *parts =
        talloc_array(tx->ctx, struct db_value, open->parts_n * PARTS_INSERT_SET_COUNT + 1);
    size_t n = 0;
    for (size_t i = 0; i < open->n; i++) {
        if (open->list[i].changed)
            fill_grant(&grants[GRANTS_PUT_SET_COUNT * n++], &a->workspace_id, &open->list[i]);
    }
    for (size_t i = 0; i < open->parts_n; i++) {
        struct db_value *v = &parts[PARTS_INSERT_SET_COUNT * i];
        v[PARTS_INSERT_SET_WORKSPACE_ID] = db_id(&a->workspace_id);
        v[PARTS_INSERT_SET_LEDGER_ID] = db_id(&open->parts[i].ledger_id);
        v[PARTS_INSERT_SET_GRANT_ID] = db_id(&open->parts[i].grant_id);
        v[PARTS_INSERT_SET_AMOUNT] = db_number(open->parts[i].amount);
    }
    enum err e = db_run_each(tx->db, tx->ctx, SQL_GRANTS_PUT, NULL, 0, grants, GRANTS_PUT_SET_COUNT, n, NULL);
    if (e == OK)
        e = db_run_each(tx->db, tx->ctx, SQL_PARTS_INSERT, NULL, 0, parts, PARTS_INSERT_SET_COUNT,
                        open->parts_n, NULL);
    return e;
}

/* Starts, expiries and voids of all accounts. */
static enum err write_entries(struct db_tx *tx, const struct account *accounts, size_t n)
{
    size_t most = 0, entries_n = 0;
    for (size_t i = 0; i < n; i++)
        most += accounts[i].grants ? accounts[i].grants->entries_n : 0;
    if (most == 0)
        return OK;
    struct ledger_entry *entries = talloc_array(tx->ctx, struct ledger_entry, most);
    for (size_t i = 0; i < n; i++) {
        for (size_t e = 0; accounts[i].grants && e < accounts[i].grants->entries_n; e++)
            entries[entries_n++] = accounts[i].grants->entries[e];
    }
    return account_add_ledger_entries(tx, accounts, n, entries, entries_n);
}

/* When a grant entered the balance: one that is made with a start in the past starts at once. */
static int64_t entered_ms(const struct grant *g)
{
    return g->effective_ms > g->created_ms ? g->effective_ms : g->created_ms;
}

/* The paid grant that has started last in this transaction; -1: none has. */
static int64_t find_top_up(const struct account *a)
{
    const struct grant *last = NULL;
    for (size_t e = 0; a->grants && e < a->grants->entries_n; e++) {
        const struct ledger_entry *entry = &a->grants->entries[e];
        for (size_t i = 0; entry->kind == LEDGER_GRANT && i < a->grants->n; i++) {
            const struct grant *g = &a->grants->list[i];
            if (id_equal(&g->id, &entry->grant_id) && g->category == GRANT_PAID &&
                (!last || entered_ms(g) >= entered_ms(last)))
                last = g;
        }
    }
    return last ? last->amount : -1;
}

static enum err write_alerts_of(struct db_tx *tx, struct account *a)
{
    const struct alert_subject subject = {.workspace_id = a->workspace_id,
                                          .balance = a->balance,
                                          .top_up = find_top_up(a),
                                          .now_ms = a->now_ms,
                                          .alerts = &a->alerts};
    return alerts_write(tx, &subject);
}

enum err account_write(struct db_tx *tx, struct account *accounts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        enum err e = accounts[i].grants ? write_grants_of(tx, &accounts[i]) : OK;
        if (e == OK)
            e = write_alerts_of(tx, &accounts[i]);
        if (e != OK)
            return e;
    }
    enum err e = write_entries(tx, accounts, n);
    if (e != OK)
        return e;
    struct db_value *values = talloc_array(tx->ctx, struct db_value, n * ACCOUNT_WRITE_SET_COUNT + 1);
    for (size_t i = 0; i < n; i++) {
        struct account *a = &accounts[i];
        if (a->changed)
            a->version++;
        struct db_value *v = &values[ACCOUNT_WRITE_SET_COUNT * i];
        v[ACCOUNT_WRITE_SET_WORKSPACE_ID] = db_id(&a->workspace_id);
        v[ACCOUNT_WRITE_SET_BALANCE] = db_number(a->balance);
        v[ACCOUNT_WRITE_SET_VERSION] = db_number(a->version);
        v[ACCOUNT_WRITE_SET_ACTIVE] = db_number(a->active);
        v[ACCOUNT_WRITE_SET_DELAYED_RUNS] = db_number(a->delayed);
        v[ACCOUNT_WRITE_SET_HEAD_GRANT] = db_id(&a->head_grant);
        v[ACCOUNT_WRITE_SET_HEAD_REMAINING] = db_number(a->head_remaining);
        v[ACCOUNT_WRITE_SET_NEXT_CHANGE_MS] = time_or_null(a->next_change_ms);
        v[ACCOUNT_WRITE_SET_SPENT] = db_number(a->alerts.spent);
        v[ACCOUNT_WRITE_SET_TOUCHED] = db_number(!a->changed);
        mark_as_written(tx, &a->workspace_id);
    }
    return db_run_each(tx->db, tx->ctx, SQL_ACCOUNT_WRITE, NULL, 0, values, ACCOUNT_WRITE_SET_COUNT, n, NULL);
}

enum err account_bump_catalog_version(struct db_tx *tx, const id *workspace)
{
    struct db_value arg = db_id(workspace);
    mark_as_written(tx, workspace);
    return db_run(tx->db, tx->ctx, SQL_ACCOUNT_BUMP_CATALOG_VERSION, &arg, 1, NULL);
}

void account_publish(struct redis *redis, const struct account *accounts, size_t n)
{
    void *scratch = talloc_new(NULL);
    for (size_t i = 0, keys; i < n; i += keys) {
        struct redis_arg args[3 * PUBLISH_MAX];
        size_t changed = 0;
        keys = n - i < PUBLISH_MAX ? n - i : PUBLISH_MAX;
        for (size_t k = i; k < i + keys; k++)
            changed += accounts[k].changed;
        for (size_t k = i, at = 0; k < i + keys; k++) {
            if (!accounts[k].changed)
                continue;
            args[at] = redis_key_credits(scratch, &accounts[k].workspace_id);
            args[changed + 2 * at] = redis_number(scratch, accounts[k].balance);
            args[changed + 2 * at + 1] = redis_number(scratch, accounts[k].version);
            at++;
        }
        if (changed > 0)
            redis_queue_eval(redis, LUA_CREDITS_SET, args, changed, 2 * changed);
    }
    talloc_free(scratch);
}
