#include "store/credit.h"

#include <string.h>
#include <talloc.h>

#include "account/credits.h"
#include "account/grants.h"
#include "base/log.h"
#include "deed/deed.h"
#include "mariadb/db.h"
#include "redis/keys.h"

/* --- names --- */

static const char *const status_names[] = {"scheduled", "active", "expired", "voided", "used"};
static const char *const category_names[] = {"promotional", "paid"};

/* The number of a name, from 1; 0: no such name. */
static int find_name(const char *const *names, int n, const char *name)
{
    for (int i = 0; i < n; i++) {
        if (strcmp(names[i], name) == 0)
            return i + 1;
    }
    return 0;
}

const char *credit_grant_status_name(enum credit_grant_status status)
{
    size_t i = (size_t)status - CREDIT_GRANT_SCHEDULED;
    return i < sizeof status_names / sizeof status_names[0] ? status_names[i] : "unknown";
}

enum credit_grant_status credit_grant_status_find(const char *name)
{
    return (enum credit_grant_status)find_name(status_names, CREDIT_GRANT_USED, name);
}

const char *credit_category_name(enum grant_category category)
{
    size_t i = (size_t)category - GRANT_PROMOTIONAL;
    return i < sizeof category_names / sizeof category_names[0] ? category_names[i] : "unknown";
}

enum grant_category credit_category_find(const char *name)
{
    return (enum grant_category)find_name(category_names, GRANT_PAID, name);
}

/* --- reading --- */

static const char *text_or_null(void *ctx, const struct db_cell *c)
{
    return c->is_null ? NULL : talloc_strndup(ctx, c->text, c->size);
}

static struct credit_grant_row read_row(void *ctx, const struct db_rows *rows, size_t r)
{
    return (struct credit_grant_row){
        .grant =
            {
                .id = db_get_id(rows, r, CREDIT_GRANTS_PAGE_ID),
                .state = (enum grant_state)db_int(rows, r, CREDIT_GRANTS_PAGE_STATE),
                .category = (enum grant_category)db_int(rows, r, CREDIT_GRANTS_PAGE_CATEGORY),
                .priority = (int)db_int(rows, r, CREDIT_GRANTS_PAGE_PRIORITY),
                .amount = db_int(rows, r, CREDIT_GRANTS_PAGE_AMOUNT),
                .remaining = db_int(rows, r, CREDIT_GRANTS_PAGE_REMAINING),
                .effective_ms = db_int(rows, r, CREDIT_GRANTS_PAGE_EFFECTIVE_MS),
                .expires_ms = db_int(rows, r, CREDIT_GRANTS_PAGE_EXPIRES_MS),
                .created_ms = db_int(rows, r, CREDIT_GRANTS_PAGE_CREATED_MS),
                .ended_ms = db_int(rows, r, CREDIT_GRANTS_PAGE_ENDED_MS),
                .refund_of = db_get_id(rows, r, CREDIT_GRANTS_PAGE_REFUND_OF),
                .note = text_or_null(ctx, db_cell(rows, r, CREDIT_GRANTS_PAGE_NOTE)),
            },
        .status = (enum credit_grant_status)db_int(rows, r, CREDIT_GRANTS_PAGE_STATUS),
        .reference = text_or_null(ctx, db_cell(rows, r, CREDIT_GRANTS_PAGE_REFERENCE)),
    };
}

enum err credit_grants_page(struct db *db, void *ctx, const id *workspace, enum credit_grant_status status,
                            const id *before, int64_t limit, struct credit_grant_row **list_r, size_t *n_r)
{
    struct db_value args[] = {
        db_id(workspace), id_is_set(before) ? db_id(before) : db_text("ffffffff-ffff-ffff-ffff-ffffffffffff"),
        db_number(status), db_number(status), db_number(limit)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_CREDIT_GRANTS_PAGE, args, sizeof args / sizeof args[0], &rows);
    if (e != OK)
        return e;
    *n_r = rows->count;
    *list_r = talloc_array(ctx, struct credit_grant_row, rows->count + 1);
    for (size_t r = 0; r < rows->count; r++)
        (*list_r)[r] = read_row(ctx, rows, r);
    return OK;
}

/* --- grants --- */

struct granting {
    const struct credit_grant *wanted;
    void *ctx;
    struct credit_grant_outcome outcome;
    /* As committed. */
    struct account account;
};

/* True in *found_r if an earlier attempt of this transaction was committed. */
static enum err find_committed(struct db_tx *tx, const id *workspace, const id *request, bool *found_r)
{
    struct db_value args[] = {db_id(workspace), db_id(request), db_id(workspace), db_id(request),
                              db_id(request)};
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_LEDGER_FIND, args, sizeof args / sizeof args[0], &rows);
    *found_r = e == OK && rows->count > 0;
    return e;
}

static bool is_same_grant(const struct credit_grant *w, const struct db_rows *rows)
{
    if (db_int(rows, 0, CREDIT_REFERENCE_FIND_AMOUNT) != w->micro)
        return false;
    if (db_cell(rows, 0, CREDIT_REFERENCE_FIND_CATEGORY)->is_null)
        return true;
    return db_int(rows, 0, CREDIT_REFERENCE_FIND_CATEGORY) == (int64_t)w->category &&
           db_int(rows, 0, CREDIT_REFERENCE_FIND_PRIORITY) == w->priority &&
           db_int(rows, 0, CREDIT_REFERENCE_FIND_EXPIRES_MS) == w->expires_ms &&
           (w->effective_ms == 0 || db_int(rows, 0, CREDIT_REFERENCE_FIND_EFFECTIVE_MS) == w->effective_ms);
}

/* Looks for what has the same reference. ERR_CONFLICT: it is another grant. */
static enum err find_reference(struct db_tx *tx, struct granting *g)
{
    const struct credit_grant *w = g->wanted;
    struct db_value args[] = {db_id(&w->workspace_id), db_text(w->reference)};
    struct db_rows *rows;
    if (!w->reference)
        return OK;
    enum err e = db_run(tx->db, tx->ctx, SQL_CREDIT_REFERENCE_FIND, args, 2, &rows);
    if (e != OK || rows->count == 0)
        return e;
    g->outcome.is_new = false;
    g->outcome.row.grant.id = db_get_id(rows, 0, CREDIT_REFERENCE_FIND_LEDGER_ID);
    g->outcome.row.grant.amount = db_int(rows, 0, CREDIT_REFERENCE_FIND_AMOUNT);
    return is_same_grant(w, rows) ? OK : ERR_CONFLICT;
}

static enum err find_key(struct db_tx *tx, struct granting *g)
{
    const struct credit_grant *w = g->wanted;
    struct idempotency_key key = {w->workspace_id, w->idempotency_key, w->fingerprint};
    return key.key.at ? idempotency_find(tx, g->ctx, &key, 1, &g->outcome.key) : OK;
}

/* Reads the grant of the outcome as it is now. A correction has none. */
static enum err read_outcome(struct db_tx *tx, struct granting *g)
{
    struct db_value args[] = {db_id(&g->wanted->workspace_id), db_id(&g->outcome.row.grant.id)};
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_CREDIT_GRANT_GET, args, 2, &rows);
    if (e == OK && rows->count > 0)
        g->outcome.row = read_row(g->ctx, rows, 0);
    return e;
}

static enum err record_grant(struct db_tx *tx, const struct credit_grant *w)
{
    char credits[CREDITS_TEXT_SIZE];
    const struct deed_detail detail[] = {{"credits", credits_text(w->micro, credits)},
                                         {"reason", w->reason},
                                         {"reference", w->reference},
                                         {0}};
    return deed_record(tx, "credits.grant", &w->workspace_id, w->grant_id.text, detail);
}

static enum err correct_balance(struct db_tx *tx, const struct credit_grant *w, struct account *a)
{
    if (w->micro == INT64_MIN || !account_covers(a, -w->micro))
        return ERR_LIMIT;
    const struct ledger_entry entry = {.workspace_id = w->workspace_id,
                                       .id = w->grant_id,
                                       .kind = LEDGER_GRANT,
                                       .amount = w->micro,
                                       .reason = w->reason,
                                       .grant_id = account_debit(a, &w->grant_id, -w->micro)};
    return account_add_ledger_entries(tx, a, 1, &entry, 1);
}

static enum err add_grant(struct db_tx *tx, const struct credit_grant *w, struct account *a)
{
    const struct ledger_owner owner = {.workspace_id = a->workspace_id, .timezone = a->timezone};
    int64_t granted;
    const struct grant grant = {.id = w->grant_id,
                                .category = w->category,
                                .priority = w->priority,
                                .amount = w->micro,
                                .effective_ms = w->effective_ms ? w->effective_ms : a->now_ms,
                                .expires_ms = w->expires_ms,
                                .created_ms = a->now_ms,
                                .note = w->reason};
    if (grant.expires_ms != 0 && (grant.expires_ms <= a->now_ms || grant.expires_ms <= grant.effective_ms))
        return ERR_INVALID;
    enum err e = ledger_month_amount(tx, &owner, id_ms(&w->grant_id), LEDGER_GRANT, &granted);
    return e == OK ? account_add_grant(a, &grant, granted) : e;
}

static enum err change_balance(struct db_tx *tx, struct granting *g, struct account *a)
{
    const struct credit_grant *w = g->wanted;
    struct db_value reference[] = {
        [CREDIT_REFERENCE_INSERT_SET_WORKSPACE_ID] = db_id(&w->workspace_id),
        [CREDIT_REFERENCE_INSERT_SET_REFERENCE] = db_text(w->reference),
        [CREDIT_REFERENCE_INSERT_SET_LEDGER_ID] = db_id(&w->grant_id),
    };
    a->wanted = INT64_MAX;
    enum err e = account_open_grants(tx, a, 1);
    if (e == OK)
        e = w->micro < 0 ? correct_balance(tx, w, a) : add_grant(tx, w, a);
    if (e == OK && w->reference)
        e = db_run(tx->db, tx->ctx, SQL_CREDIT_REFERENCE_INSERT, reference, CREDIT_REFERENCE_INSERT_SET_COUNT,
                   NULL);
    return e == OK ? record_grant(tx, w) : e;
}

static enum err store_key(struct db_tx *tx, const struct granting *g)
{
    const struct credit_grant *w = g->wanted;
    struct idempotency_entry entry = {.key = {w->workspace_id, w->idempotency_key, w->fingerprint}};
    if (!entry.key.key.at)
        return OK;
    entry.response = w->respond(tx->ctx, &g->outcome.row, g->outcome.is_new);
    return idempotency_store(tx, &entry, 1);
}

/* Decides under the account's lock. Nothing is changed if the key or the reference was used before. */
static enum err decide_grant(struct db_tx *tx, struct granting *g, struct account *a)
{
    bool committed = false;
    enum err e = find_key(tx, g);
    if (e != OK || g->outcome.key.state != IDEMPOTENCY_FREE)
        return e == OK ? account_write(tx, a, 1) : e;
    if (tx->settling)
        e = find_committed(tx, &g->wanted->workspace_id, &g->wanted->grant_id, &committed);
    if (e == OK && !committed)
        e = find_reference(tx, g);
    if (e == OK && !committed && g->outcome.is_new)
        e = change_balance(tx, g, a);
    if (e == OK)
        e = account_write(tx, a, 1);
    if (e == OK)
        e = read_outcome(tx, g);
    return e == OK && !committed ? store_key(tx, g) : e;
}

static enum err grant_work(struct db_tx *tx, void *arg)
{
    struct granting *g = arg;
    struct account *a;
    size_t n;
    g->outcome = (struct credit_grant_outcome){
        .is_new = true, .row.grant = {.id = g->wanted->grant_id, .amount = g->wanted->micro}};
    enum err e = account_lock(tx, tx->ctx, &g->wanted->workspace_id, 1, &a, &n);
    if (e != OK || n == 0)
        return e == OK ? ERR_NOT_FOUND : e;
    e = decide_grant(tx, g, a);
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

enum err credit_grant(struct db *db, struct redis *redis, void *ctx, const struct credit_grant *grant,
                      struct credit_grant_outcome *outcome_r)
{
    struct granting g = {.wanted = grant, .ctx = ctx};
    enum err e = db_transaction(db, grant_work, &g);
    *outcome_r = g.outcome;
    outcome_r->balance = g.account.balance;
    if (e == OK && redis)
        publish_balance(redis, &g.account);
    return e;
}

/* --- voids --- */

struct voiding {
    const struct credit_void *wanted;
    struct credit_void_outcome outcome;
    struct account account;
};

static enum err record_void(struct db_tx *tx, const struct credit_void *w, int64_t micro)
{
    char credits[CREDITS_TEXT_SIZE];
    const struct deed_detail detail[] = {
        {"credits", credits_text(micro, credits)}, {"reason", w->reason}, {0}};
    return deed_record(tx, "credits.void", &w->workspace_id, w->grant_id.text, detail);
}

/* What an earlier attempt of this transaction took; *found_r is false if it was not committed. */
static enum err find_void(struct db_tx *tx, struct voiding *v, bool *found_r)
{
    const struct credit_void *w = v->wanted;
    struct db_value args[] = {db_id(&w->workspace_id), db_id(&w->void_id)};
    struct db_rows *rows;
    enum err e = find_committed(tx, &w->workspace_id, &w->void_id, found_r);
    if (e == OK && *found_r)
        e = db_run(tx->db, tx->ctx, SQL_LEDGER_AMOUNT, args, 2, &rows);
    if (e == OK && *found_r && rows->count > 0)
        v->outcome.micro = -db_int(rows, 0, LEDGER_AMOUNT_AMOUNT);
    return e;
}

static enum err void_work(struct db_tx *tx, void *arg)
{
    struct voiding *v = arg;
    const struct credit_void *w = v->wanted;
    struct account *a;
    struct grant before = {0};
    bool committed = false;
    size_t n;
    v->outcome = (struct credit_void_outcome){.is_new = true};
    enum err e = account_lock(tx, tx->ctx, &w->workspace_id, 1, &a, &n);
    if (e != OK || n == 0)
        return e == OK ? ERR_NOT_FOUND : e;
    a->wanted = INT64_MAX;
    if (tx->settling)
        e = find_void(tx, v, &committed);
    if (e == OK && !committed)
        e = account_open_grants(tx, a, 1);
    if (e == OK && !committed)
        e = account_void_grant(tx, a, &w->grant_id, &w->void_id, w->reason, &before);
    if (e == OK && !committed) {
        v->outcome.is_new = before.state != GRANT_VOIDED;
        v->outcome.micro = before.state == GRANT_ACTIVE ? before.remaining : 0;
    }
    if (e == OK && !committed && v->outcome.is_new)
        e = record_void(tx, w, v->outcome.micro);
    if (e == OK)
        e = account_write(tx, a, 1);
    v->account = *a;
    return e;
}

enum err credit_void(struct db *db, struct redis *redis, const struct credit_void *wanted,
                     struct credit_void_outcome *outcome_r)
{
    struct voiding v = {.wanted = wanted};
    enum err e = db_transaction(db, void_work, &v);
    *outcome_r = v.outcome;
    outcome_r->balance = v.account.balance;
    if (e == OK && redis)
        publish_balance(redis, &v.account);
    return e;
}

/* --- balances --- */

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
