#include "core/store_credit.h"

#include <talloc.h>

#include "core/log.h"
#include "core/redis_keys.h"

struct grant {
    const id *workspace, *ledger_row;
    int64_t micro;
    const char *reason;
    int64_t balance, version; /* as committed */
};

/* Whether an earlier try had committed; then the log is made sure of before anybody is told. */
static enum err find_earlier(struct db_tx *tx, const struct grant *g, bool *found_r)
{
    struct db_value args[] = {db_id(g->workspace), db_id(g->ledger_row)};
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_LEDGER_FIND, args, 2, &rows);
    *found_r = e == OK && rows->count > 0;
    struct db_value touch[] = {db_number(0), db_number(1), db_id(g->workspace)};
    return *found_r ? db_run(tx->db, tx->ctx, SQL_CREDIT_GRANT, touch, 3, NULL) : e;
}

static enum err insert(struct db_tx *tx, const struct grant *g)
{
    struct db_value row[] = {
        db_id(g->workspace),
        db_id(g->ledger_row),
        db_number(LEDGER_GRANT),
        db_number(g->micro),
        db_null(),
        db_null(),
        db_null(),
        db_text(g->reason),
    };
    struct db_value account[] = {db_number(g->micro), db_number(0), db_id(g->workspace)};
    enum err e =
        db_run_each(tx->db, tx->ctx, SQL_LEDGER_INSERT, NULL, 0, row, sizeof row / sizeof row[0], 1, NULL);
    return e == OK ? db_run(tx->db, tx->ctx, SQL_CREDIT_GRANT, account, 3, NULL) : e;
}

static enum err work(struct db_tx *tx, void *arg)
{
    struct grant *g = arg;
    struct db_value account = db_id(g->workspace);
    struct db_rows *rows;
    enum err e = db_run_each(tx->db, tx->ctx, SQL_ACCOUNT_LOCK, NULL, 0, &account, 1, 1, &rows);
    if (e != OK || rows->count == 0)
        return e == OK ? ERR_NOT_FOUND : e;
    g->balance = db_int(rows, 0, 1);
    g->version = db_int(rows, 0, 2);
    bool found = false;
    if (tx->settling)
        e = find_earlier(tx, g, &found);
    if (e != OK || found)
        return e;
    if (__builtin_add_overflow(g->balance, g->micro, &g->balance) || g->balance < 0)
        return ERR_LIMIT;
    g->version++;
    return insert(tx, g);
}

enum err credit_grant(struct db *db, struct redis *redis, const id *workspace, const id *ledger_row,
                      int64_t micro, const char *reason, int64_t *balance_r)
{
    struct grant g = {.workspace = workspace, .ledger_row = ledger_row, .micro = micro, .reason = reason};
    enum err e = db_transaction(db, work, &g);
    *balance_r = g.balance;
    if (e == OK && redis)
        credit_publish(redis, workspace, g.balance, g.version);
    return e;
}

void credit_publish(struct redis *redis, const id *workspace, int64_t balance, int64_t version)
{
    void *scratch = talloc_new(NULL);
    struct redis_arg args[] = {redis_key_credits(scratch, workspace), redis_number(scratch, balance),
                               redis_number(scratch, version)};
    struct redis_value answer;
    if (redis_eval(redis, scratch, LUA_CREDITS_SET, args, 1, 2, &answer) != OK)
        log_info("credits.not_published", "workspace=%s", workspace->text);
    talloc_free(scratch);
}
