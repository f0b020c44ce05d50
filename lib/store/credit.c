#include "store/credit.h"

#include <talloc.h>

#include "account/account.h"
#include "account/credits.h"
#include "base/log.h"
#include "deed/deed.h"
#include "mariadb/db.h"
#include "redis/keys.h"

struct grant {
    const struct credit_grant *wanted;
    struct credit_grant_outcome outcome;
    /* As committed. */
    struct account account;
};

/* True in *found_r if an earlier attempt of this transaction was committed. */
static enum err find_committed_grant(struct db_tx *tx, const struct credit_grant *g, bool *found_r)
{
    struct db_value args[] = {db_id(&g->workspace_id), db_id(&g->ledger_id)};
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_LEDGER_FIND, args, 2, &rows);
    *found_r = e == OK && rows->count > 0;
    return e;
}

/* Looks for a grant with the same reference. ERR_CONFLICT: it has another amount. */
static enum err find_reference(struct db_tx *tx, struct grant *g, bool *found_r)
{
    const struct credit_grant *w = g->wanted;
    struct db_value args[] = {db_id(&w->workspace_id), db_text(w->reference)};
    struct db_rows *rows;
    *found_r = false;
    if (!w->reference)
        return OK;
    enum err e = db_run(tx->db, tx->ctx, SQL_CREDIT_REFERENCE_FIND, args, 2, &rows);
    if (e != OK || rows->count == 0)
        return e;
    *found_r = true;
    g->outcome.ledger_id = db_get_id(rows, 0, CREDIT_REFERENCE_FIND_LEDGER_ID);
    g->outcome.micro = db_int(rows, 0, CREDIT_REFERENCE_FIND_AMOUNT);
    return g->outcome.micro == w->micro ? OK : ERR_CONFLICT;
}

static enum err add_grant(struct db_tx *tx, const struct credit_grant *w, struct account *a)
{
    const struct ledger_entry entry = {.workspace_id = w->workspace_id,
                                       .id = w->ledger_id,
                                       .kind = LEDGER_GRANT,
                                       .amount = w->micro,
                                       .reason = w->reason};
    struct db_value reference[] = {
        [CREDIT_REFERENCE_INSERT_SET_WORKSPACE_ID] = db_id(&w->workspace_id),
        [CREDIT_REFERENCE_INSERT_SET_REFERENCE] = db_text(w->reference),
        [CREDIT_REFERENCE_INSERT_SET_LEDGER_ID] = db_id(&w->ledger_id),
    };
    if (__builtin_add_overflow(a->balance, w->micro, &a->balance) || a->balance < 0)
        return ERR_LIMIT;
    a->changed = true;
    enum err e = account_add_ledger_entries(tx, &entry, 1);
    if (e == OK && w->reference)
        e = db_run(tx->db, tx->ctx, SQL_CREDIT_REFERENCE_INSERT, reference, CREDIT_REFERENCE_INSERT_SET_COUNT,
                   NULL);
    char credits[CREDITS_TEXT_SIZE];
    const struct deed_detail detail[] = {{"credits", credits_text(w->micro, credits)},
                                         {"reason", w->reason},
                                         {"reference", w->reference},
                                         {0}};
    return e == OK ? deed_record(tx, "credits.grant", &w->workspace_id, w->ledger_id.text, detail) : e;
}

static enum err grant_work(struct db_tx *tx, void *arg)
{
    struct grant *g = arg;
    struct account *a;
    size_t n;
    bool committed = false, used = false;
    enum err e = account_lock(tx, tx->ctx, &g->wanted->workspace_id, 1, &a, &n);
    if (e != OK || n == 0)
        return e == OK ? ERR_NOT_FOUND : e;
    g->outcome = (struct credit_grant_outcome){
        .is_new = true, .ledger_id = g->wanted->ledger_id, .micro = g->wanted->micro};
    if (tx->settling)
        e = find_committed_grant(tx, g->wanted, &committed);
    if (e == OK && !committed)
        e = find_reference(tx, g, &used);
    g->outcome.is_new = !used;
    if (e == OK && !committed && !used)
        e = add_grant(tx, g->wanted, a);
    if (e != OK)
        return e;
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

enum err credit_grant(struct db *db, struct redis *redis, const struct credit_grant *grant,
                      struct credit_grant_outcome *outcome_r)
{
    struct grant g = {.wanted = grant};
    enum err e = db_transaction(db, grant_work, &g);
    *outcome_r = g.outcome;
    outcome_r->balance = g.account.balance;
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
