#include "store/credit.h"

#include <talloc.h>

#include "account/account.h"
#include "base/log.h"
#include "mariadb/db.h"
#include "redis/keys.h"

struct grant {
    struct ledger_entry entry;
    /* As committed. */
    struct account account;
};

/* True in *found_r if an earlier attempt of this transaction was committed. */
static enum err find_committed_grant(struct db_tx *tx, const struct grant *g, bool *found_r)
{
    struct db_value args[] = {db_id(&g->entry.workspace_id), db_id(&g->entry.id)};
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_LEDGER_FIND, args, 2, &rows);
    *found_r = e == OK && rows->count > 0;
    return e;
}

static enum err grant_work(struct db_tx *tx, void *arg)
{
    struct grant *g = arg;
    struct account *a;
    size_t n;
    enum err e = account_lock(tx, tx->ctx, &g->entry.workspace_id, 1, &a, &n);
    if (e != OK || n == 0)
        return e == OK ? ERR_NOT_FOUND : e;
    bool found = false;
    if (tx->settling)
        e = find_committed_grant(tx, g, &found);
    if (e == OK && !found) {
        if (__builtin_add_overflow(a->balance, g->entry.amount, &a->balance) || a->balance < 0)
            return ERR_LIMIT;
        a->changed = true;
        e = account_add_ledger_entries(tx, &g->entry, 1);
    }
    /* makes this transaction flush, so that the earlier commit is durable before it is reported */
    a->touched = found;
    if (e == OK)
        e = account_write(tx, a, 1);
    g->account = *a;
    return e;
}

/* Waits for the answer, unlike account_publish: an operator's process exits right after this, and Redis may
 * not have the script yet. */
static void publish_balance(struct redis *redis, const struct account *a)
{
    void *scratch = talloc_new(NULL);
    struct redis_arg args[] = {redis_key_credits(scratch, &a->workspace_id),
                               redis_number(scratch, a->balance), redis_number(scratch, a->version)};
    struct redis_value answer;
    if (redis_eval(redis, scratch, LUA_CREDITS_SET, args, 1, 2, &answer) != OK)
        log_info("credits.publish_failed", "workspace=%s", a->workspace_id.text);
    talloc_free(scratch);
}

enum err credit_grant(struct db *db, struct redis *redis, const id *workspace, const id *ledger_row,
                      int64_t micro, const char *reason, int64_t *balance_r)
{
    struct grant g = {.entry = {.workspace_id = *workspace,
                                .id = *ledger_row,
                                .kind = LEDGER_GRANT,
                                .amount = micro,
                                .reason = reason}};
    enum err e = db_transaction(db, grant_work, &g);
    *balance_r = g.account.balance;
    if (e == OK && redis)
        publish_balance(redis, &g.account);
    return e;
}

enum err credit_balance(struct db *db, const id *workspace, int64_t *balance_r)
{
    void *scratch = talloc_new(NULL);
    struct db_value one = db_id(workspace);
    struct db_rows *rows;
    enum err e = db_run_each(db, scratch, SQL_ACCOUNT_READ, NULL, 0, &one, 1, 1, &rows);
    if (e == OK && rows->count == 0)
        e = ERR_NOT_FOUND;
    if (e == OK)
        *balance_r = db_int(rows, 0, ACCOUNT_READ_BALANCE);
    talloc_free(scratch);
    return e;
}
