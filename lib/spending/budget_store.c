#include "spending/budget_store.h"

#include <string.h>
#include <talloc.h>

#include "account/credits.h"
#include "deed/deed.h"
#include "schedule/calendar.h"

const char *budget_level_name(const struct budget_row *b)
{
    return b->used >= b->limit ? "exceeded" : budget_is_soft(b) ? "soft" : "ok";
}

const char *budget_read_target(void *ctx, enum budget_scope scope, const char *text, size_t size,
                               struct span *target_r)
{
    *target_r = (struct span){0};
    if (scope == BUDGET_WORKSPACE)
        return text ? "absent: the scope is workspace" : NULL;
    if (scope == BUDGET_TAG) {
        *target_r = (struct span){text, size};
        return text && size > 0 && size <= BUDGET_TARGET_MAX ? NULL : "a tag of 1 to 256 octets";
    }
    id *parsed = talloc(ctx, id);
    if (!text || !id_parse(text, size, parsed))
        return "a UUID";
    *target_r = (struct span){parsed->text, ID_LENGTH};
    return NULL;
}

/* --- reading --- */

/* What the row will be when the next run counts in it. */
static void show_current_period(void *ctx, struct budget_row *b, const char *timezone, int64_t now_ms)
{
    if (now_ms < b->current.end_ms)
        return;
    b->current = period_after(calendar_zone(ctx, timezone), b->period, b->current, now_ms);
    b->used = 0;
    b->told = 0;
}

static void take_row(void *ctx, const struct db_rows *rows, size_t r, struct spending_budget *b)
{
    const struct db_cell *target = db_cell(rows, r, BUDGET_GET_TARGET);
    *b = (struct spending_budget){
        .row =
            {
                .id = db_get_id(rows, r, BUDGET_GET_ID),
                .workspace_id = db_get_id(rows, r, BUDGET_GET_WORKSPACE_ID),
                .scope = (enum budget_scope)db_int(rows, r, BUDGET_GET_SCOPE),
                .target = {target->text, target->size},
                .period = (enum period_kind)db_int(rows, r, BUDGET_GET_PERIOD),
                .limit = db_int(rows, r, BUDGET_GET_AMOUNT),
                .soft_percent = (int)db_int(rows, r, BUDGET_GET_SOFT_PERCENT),
                .used = db_int(rows, r, BUDGET_GET_USED),
                .current = {db_int(rows, r, BUDGET_GET_START_MS), db_int(rows, r, BUDGET_GET_END_MS)},
                .told = (uint32_t)db_int(rows, r, BUDGET_GET_TOLD),
            },
        .created_ms = db_int(rows, r, BUDGET_GET_CREATED_MS),
        .updated_ms = db_int(rows, r, BUDGET_GET_UPDATED_MS),
    };
    show_current_period(ctx, &b->row, db_str(rows, r, BUDGET_GET_TIMEZONE),
                        db_int(rows, r, BUDGET_GET_NOW_MS));
}

enum err budget_get(struct db *db, void *ctx, const id *workspace, const id *budget,
                    struct spending_budget *budget_r)
{
    struct db_value args[] = {db_id(workspace), db_id(budget)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_BUDGET_GET, args, 2, &rows);
    if (e != OK || rows->count == 0)
        return e == OK ? ERR_NOT_FOUND : e;
    take_row(ctx, rows, 0, budget_r);
    return OK;
}

enum err budget_list(struct db *db, void *ctx, const id *workspace, const id *after, int64_t limit,
                     struct spending_budget **list_r, size_t *n_r)
{
    id first = id_is_set(after) ? *after : id_floor(0);
    struct db_value args[] = {db_id(workspace), db_id(&first), db_number(limit)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_BUDGET_LIST, args, 3, &rows);
    if (e != OK)
        return e;
    *n_r = rows->count;
    *list_r = talloc_array(ctx, struct spending_budget, rows->count + 1);
    for (size_t r = 0; r < rows->count; r++)
        take_row(*list_r, rows, r, &(*list_r)[r]);
    return OK;
}

/* --- changes --- */

struct changing {
    const id *workspace, *budget;
    struct budget_row *row;
    const struct budget_change *change;
    int64_t quota;
    bool replaces;
    /* of a budget that is made; `row` has that of the budget that was changed instead */
    id own;
};

static enum err lock_account(struct db_tx *tx, const id *workspace, struct account **account_r)
{
    size_t n;
    enum err e = account_lock(tx, tx->ctx, workspace, 1, account_r, &n);
    return e == OK && n == 0 ? ERR_NOT_FOUND : e;
}

static enum err write_flags(struct db_tx *tx, const id *workspace)
{
    struct db_value args[] = {db_id(workspace), db_id(workspace)};
    return db_run(tx->db, tx->ctx, SQL_BUDGET_FLAGS, args, 2, NULL);
}

static enum err record(struct db_tx *tx, const char *deed, const struct budget_row *b)
{
    char limit[CREDITS_TEXT_SIZE];
    const char *soft = b->soft_percent > 0 ? talloc_asprintf(tx->ctx, "%d", b->soft_percent) : NULL;
    const struct deed_detail detail[] = {{"scope", budget_scope_name(b->scope)},
                                         {"period", period_name(b->period)},
                                         {"limit", credits_text(b->limit, limit)},
                                         {"soft_percent", soft},
                                         {0}};
    return deed_record(tx, deed, &b->workspace_id, b->id.text, detail);
}

/* Levels that were told and that the changed limit leaves are told again when they are reached again. */
static enum err write_change(struct db_tx *tx, const struct account *a, struct budget_row *b,
                             const struct budget_change *c, const char *deed)
{
    if (c->has_limit)
        b->limit = c->limit;
    if (c->has_soft)
        b->soft_percent = c->soft_percent;
    uint32_t reached =
        (budget_is_soft(b) ? BUDGET_TOLD_SOFT : 0) | (b->used >= b->limit ? BUDGET_TOLD_EXCEEDED : 0);
    struct db_value args[] = {db_number(b->limit), db_number_or_null(b->soft_percent, b->soft_percent > 0),
                              db_number(reached), db_number(a->now_ms), db_id(&b->id)};
    enum err e = db_run(tx->db, tx->ctx, SQL_BUDGET_CHANGE, args, 5, NULL);
    return e == OK ? record(tx, deed, b) : e;
}

static enum err check_target(struct db_tx *tx, const struct budget_row *b)
{
    static const enum sql_id queries[] = {[BUDGET_KEY] = SQL_BUDGET_FIND_KEY,
                                          [BUDGET_PRINCIPAL] = SQL_BUDGET_FIND_PRINCIPAL,
                                          [BUDGET_RESPONDER] = SQL_BUDGET_FIND_RESPONDER};
    struct db_value target = db_bytes(b->target.at, b->target.size);
    struct db_value args[] = {db_id(&b->workspace_id), target, db_id(&b->workspace_id), target};
    struct db_rows *rows;
    if (b->scope == BUDGET_WORKSPACE || b->scope == BUDGET_TAG)
        return OK;
    enum err e =
        db_run(tx->db, tx->ctx, queries[b->scope], args, b->scope == BUDGET_RESPONDER ? 4 : 2, &rows);
    return e == OK && rows->count == 0 ? ERR_INVALID : e;
}

/* Runs with tags are looked at when they are accepted. */
static enum err check_applicable(struct db_tx *tx, const struct budget_row *b)
{
    struct db_value workspace = db_id(&b->workspace_id);
    struct db_rows *rows;
    int64_t most = 0;
    enum err e = db_run(tx->db, tx->ctx, SQL_BUDGET_MOST, &workspace, 1, &rows);
    for (size_t r = 0; e == OK && r < rows->count; r++)
        most += db_int(rows, r, BUDGET_MOST_N);
    return e == OK && b->scope != BUDGET_TAG && most > BUDGETS_WITHOUT_TAG_MAX ? ERR_DENIED : e;
}

static enum err check_quota(struct db_tx *tx, const struct changing *c)
{
    struct db_value workspace = db_id(&c->row->workspace_id);
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_QUOTA_COUNT_BUDGETS, &workspace, 1, &rows);
    return e == OK && db_int(rows, 0, 0) >= c->quota ? ERR_LIMIT : e;
}

static enum err insert_budget(struct db_tx *tx, const struct account *a, const struct budget_row *b)
{
    struct db_value workspace = db_id(&b->workspace_id);
    uint8_t hash[BUDGET_HASH_SIZE];
    struct db_rows *rows;
    budget_hash(&b->workspace_id, b->scope, b->target, hash);
    enum err e = db_run(tx->db, tx->ctx, SQL_BUDGET_TIMEZONE, &workspace, 1, &rows);
    if (e != OK)
        return e;
    struct period p =
        period_at(calendar_zone(tx->ctx, db_str(rows, 0, BUDGET_TIMEZONE_TIMEZONE)), b->period, a->now_ms);
    struct db_value v[BUDGET_INSERT_SET_COUNT] = {
        [BUDGET_INSERT_SET_ID] = db_id(&b->id),
        [BUDGET_INSERT_SET_WORKSPACE_ID] = workspace,
        [BUDGET_INSERT_SET_TARGET_HASH] = db_bytes(hash, sizeof hash),
        [BUDGET_INSERT_SET_SCOPE] = db_number(b->scope),
        [BUDGET_INSERT_SET_TARGET] = db_bytes(b->target.at ? b->target.at : "", b->target.size),
        [BUDGET_INSERT_SET_PERIOD] = db_number(b->period),
        [BUDGET_INSERT_SET_AMOUNT] = db_number(b->limit),
        [BUDGET_INSERT_SET_SOFT_PERCENT] = db_number_or_null(b->soft_percent, b->soft_percent > 0),
        [BUDGET_INSERT_SET_START_MS] = db_number(p.start_ms),
        [BUDGET_INSERT_SET_END_MS] = db_number(p.end_ms),
        [BUDGET_INSERT_SET_CREATED_MS] = db_number(a->now_ms),
        [BUDGET_INSERT_SET_UPDATED_MS] = db_number(a->now_ms),
    };
    return db_run(tx->db, tx->ctx, SQL_BUDGET_INSERT, v, BUDGET_INSERT_SET_COUNT, NULL);
}

/* The budget of the same scope, target and period. ERR_NOT_FOUND: there is none. */
static enum err find_same(struct db_tx *tx, const struct budget_row *b, struct spending_budget *same_r)
{
    uint8_t hash[BUDGET_HASH_SIZE];
    struct db_rows *rows;
    budget_hash(&b->workspace_id, b->scope, b->target, hash);
    struct db_value args[] = {db_bytes(hash, sizeof hash), db_number(b->period)};
    enum err e = db_run(tx->db, tx->ctx, SQL_BUDGET_SAME, args, 2, &rows);
    if (e != OK || rows->count == 0)
        return e == OK ? ERR_NOT_FOUND : e;
    id found = db_get_id(rows, 0, BUDGET_SAME_ID);
    return budget_get(tx->db, tx->ctx, &b->workspace_id, &found, same_r);
}

static enum err create_work(struct db_tx *tx, void *arg)
{
    struct changing *c = arg;
    struct budget_row *b = c->row;
    struct spending_budget same;
    struct account *a;
    b->id = c->own; /* the work may run more than once */
    enum err e = lock_account(tx, &b->workspace_id, &a);
    if (e != OK)
        return e;
    e = find_same(tx, b, &same);
    if (e == OK && tx->settling && id_equal(&same.row.id, &b->id))
        return OK; /* an earlier run of this work was committed */
    if (e == OK && !c->replaces)
        return ERR_CONFLICT;
    if (e == OK) {
        const struct budget_change change = {true, true, b->limit, b->soft_percent};
        b->id = same.row.id;
        return write_change(tx, a, &same.row, &change, "budget.put");
    }
    if (e != ERR_NOT_FOUND)
        return e;
    e = check_target(tx, b);
    if (e == OK)
        e = check_quota(tx, c);
    if (e == OK)
        e = insert_budget(tx, a, b);
    if (e == OK)
        e = check_applicable(tx, b);
    if (e == OK)
        e = write_flags(tx, &b->workspace_id);
    return e == OK ? record(tx, "budget.put", b) : e;
}

enum err budget_create(struct db *db, struct budget_row *row, int64_t quota, bool replaces, struct once *once)
{
    struct changing c = {.row = row, .quota = quota, .replaces = replaces, .own = row->id};
    return once_transaction(db, once, create_work, &c);
}

static enum err change_work(struct db_tx *tx, void *arg)
{
    const struct changing *c = arg;
    struct spending_budget b;
    struct account *a;
    enum err e = lock_account(tx, c->workspace, &a);
    if (e == OK)
        e = budget_get(tx->db, tx->ctx, c->workspace, c->budget, &b);
    return e == OK ? write_change(tx, a, &b.row, c->change, "budget.change") : e;
}

enum err budget_change(struct db *db, const id *workspace, const id *budget,
                       const struct budget_change *change)
{
    struct changing c = {.workspace = workspace, .budget = budget, .change = change};
    return db_transaction(db, change_work, &c);
}

static enum err delete_work(struct db_tx *tx, void *arg)
{
    const struct changing *c = arg;
    struct db_value one = db_id(c->budget);
    struct spending_budget b;
    struct account *a;
    enum err e = lock_account(tx, c->workspace, &a);
    if (e == OK)
        e = budget_get(tx->db, tx->ctx, c->workspace, c->budget, &b);
    if (e == ERR_NOT_FOUND && tx->settling)
        return OK;
    if (e == OK)
        e = db_run(tx->db, tx->ctx, SQL_BUDGET_DELETE, &one, 1, NULL);
    if (e == OK)
        e = db_run(tx->db, tx->ctx, SQL_BUDGET_PERIODS_DELETE, &one, 1, NULL);
    if (e == OK)
        e = write_flags(tx, c->workspace);
    return e == OK ? record(tx, "budget.delete", &b.row) : e;
}

enum err budget_delete(struct db *db, const id *workspace, const id *budget)
{
    struct changing c = {.workspace = workspace, .budget = budget};
    return db_transaction(db, delete_work, &c);
}
