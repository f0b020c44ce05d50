#include "account/grants.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/log.h"

enum { DUE_MAX = 64 /* accounts in one transaction */ };

static int compare_numbers(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

/* The order in which grants are used. */
static int compare_grants(const void *a, const void *b)
{
    const struct grant *x = a, *y = b;
    int order = compare_numbers(x->priority, y->priority);
    if (order == 0)
        order = compare_numbers(x->expires_ms ? x->expires_ms : INT64_MAX,
                                y->expires_ms ? y->expires_ms : INT64_MAX);
    if (order == 0)
        order = compare_numbers(x->category, y->category);
    if (order == 0)
        order = compare_numbers(x->effective_ms, y->effective_ms);
    return order ? order : id_compare(&x->id, &y->id);
}

static struct grant *find_grant(const struct account *a, const id *grant)
{
    for (size_t i = 0; i < a->grants->n; i++) {
        if (id_equal(&a->grants->list[i].id, grant))
            return &a->grants->list[i];
    }
    return NULL;
}

static void insert_grant(struct account *a, const struct grant *g)
{
    struct account_grants *open = a->grants;
    size_t at = open->n;
    if (!open->list || open->n == talloc_array_length(open->list))
        open->list = talloc_realloc(open, open->list, struct grant, 2 * open->n + 8);
    while (at > 0 && compare_grants(&open->list[at - 1], g) > 0)
        at--;
    memmove(&open->list[at + 1], &open->list[at], sizeof *g * (open->n - at));
    open->list[at] = *g;
    open->n++;
}

/* Once the grants have changed: which one is used next, and when the next one starts or expires. */
static void choose_head(struct account *a)
{
    int64_t next_ms = INT64_MAX;
    a->head_grant = (id){{0}};
    a->head_remaining = 0;
    for (size_t i = 0; i < a->grants->n; i++) {
        const struct grant *g = &a->grants->list[i];
        bool spendable = g->state == GRANT_ACTIVE && g->remaining > 0;
        if (spendable && !id_is_set(&a->head_grant)) {
            a->head_grant = g->id;
            a->head_remaining = g->remaining;
        }
        if (spendable && g->expires_ms && g->expires_ms < next_ms)
            next_ms = g->expires_ms;
        if (g->state == GRANT_SCHEDULED && g->effective_ms < next_ms)
            next_ms = g->effective_ms;
    }
    a->next_change_ms = next_ms == INT64_MAX ? 0 : next_ms;
}

static void add_entry(struct account *a, enum ledger_kind kind, const id *entry, const struct grant *g,
                      int64_t amount, const char *reason)
{
    struct account_grants *open = a->grants;
    open->entries = talloc_realloc(open, open->entries, struct ledger_entry, open->entries_n + 1);
    open->entries[open->entries_n++] = (struct ledger_entry){
        .workspace_id = a->workspace_id,
        .id = *entry,
        .kind = kind,
        .amount = amount,
        .reason = reason,
        .grant_id = g->id,
    };
}

/* The parts of a ledger row are added one after the other. */
static void add_part(struct account *a, const id *ledger_id, const id *grant, int64_t amount)
{
    struct account_grants *open = a->grants;
    for (size_t i = open->parts_n; i > 0 && id_equal(&open->parts[i - 1].ledger_id, ledger_id); i--) {
        if (id_equal(&open->parts[i - 1].grant_id, grant)) {
            open->parts[i - 1].amount += amount;
            return;
        }
    }
    open->parts = talloc_realloc(open, open->parts, struct grant_part, open->parts_n + 1);
    open->parts[open->parts_n++] = (struct grant_part){*ledger_id, *grant, amount};
}

/* --- starts and expiries --- */

static bool is_due(const struct account *a)
{
    return a->next_change_ms != 0 && a->next_change_ms <= a->now_ms;
}

static bool has_expired(const struct account *a, const struct grant *g)
{
    return g->state == GRANT_EXPIRED || (g->expires_ms != 0 && g->expires_ms <= a->now_ms);
}

static void start_grant(struct account *a, struct grant *g, const id *entry)
{
    g->state = GRANT_ACTIVE;
    g->changed = true;
    a->balance += g->amount; /* account_add_grant has kept room for it */
    a->changed = true;
    add_entry(a, LEDGER_GRANT, entry, g, g->amount, g->note);
}

static void expire_grant(struct account *a, struct grant *g)
{
    id entry = id_new();
    add_entry(a, LEDGER_EXPIRY, &entry, g, -g->remaining, NULL);
    a->balance -= g->remaining;
    a->changed = true;
    g->state = GRANT_EXPIRED;
    g->remaining = 0;
    g->ended_ms = a->now_ms;
    g->changed = true;
}

static void make_due(struct account *a)
{
    for (size_t i = 0; i < a->grants->n; i++) {
        struct grant *g = &a->grants->list[i];
        id entry = id_new();
        if (g->state == GRANT_SCHEDULED && g->effective_ms <= a->now_ms)
            start_grant(a, g, &entry);
        if (g->state == GRANT_ACTIVE && g->remaining > 0 && has_expired(a, g))
            expire_grant(a, g);
    }
    choose_head(a);
}

/* --- reading --- */

static struct grant read_grant(struct account *a, const struct db_rows *rows, size_t r)
{
    const struct db_cell *note = db_cell(rows, r, GRANTS_OPEN_NOTE);
    return (struct grant){
        .id = db_get_id(rows, r, GRANTS_OPEN_ID),
        .state = (enum grant_state)db_int(rows, r, GRANTS_OPEN_STATE),
        .category = (enum grant_category)db_int(rows, r, GRANTS_OPEN_CATEGORY),
        .priority = (int)db_int(rows, r, GRANTS_OPEN_PRIORITY),
        .amount = db_int(rows, r, GRANTS_OPEN_AMOUNT),
        .remaining = db_int(rows, r, GRANTS_OPEN_REMAINING),
        .effective_ms = db_int(rows, r, GRANTS_OPEN_EFFECTIVE_MS),
        .expires_ms = db_int(rows, r, GRANTS_OPEN_EXPIRES_MS),
        .created_ms = db_int(rows, r, GRANTS_OPEN_CREATED_MS),
        .ended_ms = db_int(rows, r, GRANTS_OPEN_ENDED_MS),
        .ended_by = db_get_id(rows, r, GRANTS_OPEN_ENDED_BY),
        .refund_of = db_get_id(rows, r, GRANTS_OPEN_REFUND_OF),
        .note = note->is_null ? NULL : talloc_strndup(a->grants, note->text, note->size),
    };
}

/* The account's row knows better what its head grant has left. */
static void add_read_grant(struct account *a, const struct db_rows *rows, size_t r)
{
    struct grant g = read_grant(a, rows, r);
    if (find_grant(a, &g.id))
        return;
    if (id_equal(&g.id, &a->head_grant)) {
        g.changed = g.remaining != a->head_remaining;
        g.remaining = a->head_remaining;
    }
    insert_grant(a, &g);
}

/* Reads grants that may have nothing left. The account's grants are open. */
static enum err read_grants(struct db_tx *tx, struct account *a, const id *grants, size_t n)
{
    struct db_value workspace = db_id(&a->workspace_id);
    struct db_value *values = talloc_array(tx->ctx, struct db_value, n + 1);
    struct db_rows *rows;
    size_t wanted = 0;
    for (size_t i = 0; i < n; i++) {
        if (!find_grant(a, &grants[i]))
            values[wanted++] = db_id(&grants[i]);
    }
    enum err e = db_run_each(tx->db, tx->ctx, SQL_GRANTS_FIND, &workspace, 1, values, 1, wanted, &rows);
    for (size_t r = 0; e == OK && r < rows->count; r++)
        add_read_grant(a, rows, r);
    return e;
}

static bool needs_grants(const struct account *a)
{
    bool others = a->balance > a->head_remaining;
    return !a->grants && (a->wanted == INT64_MAX || is_due(a) || (others && a->wanted > a->head_remaining));
}

enum err account_open_grants(struct db_tx *tx, struct account *accounts, size_t n)
{
    struct db_value *values = talloc_array(tx->ctx, struct db_value, n + 1);
    struct account **opened = talloc_array(tx->ctx, struct account *, n + 1);
    struct db_rows *rows;
    size_t opened_n = 0;
    for (size_t i = 0; i < n; i++) {
        if (!needs_grants(&accounts[i]))
            continue;
        accounts[i].grants = talloc_zero(tx->ctx, struct account_grants);
        values[opened_n] = db_id(&accounts[i].workspace_id);
        opened[opened_n++] = &accounts[i];
    }
    enum err e = db_run_each(tx->db, tx->ctx, SQL_GRANTS_OPEN, NULL, 0, values, 1, opened_n, &rows);
    for (size_t r = 0; e == OK && r < rows->count; r++) {
        id workspace = db_get_id(rows, r, GRANTS_OPEN_WORKSPACE_ID);
        struct account *a = account_find(accounts, n, &workspace);
        if (a && a->grants)
            add_read_grant(a, rows, r);
    }
    /* The row of a head grant may be out of date to the point that it is not among the open ones. */
    for (size_t i = 0; e == OK && i < opened_n; i++) {
        if (opened[i]->head_remaining > 0)
            e = read_grants(tx, opened[i], &opened[i]->head_grant, 1);
        if (e == OK)
            make_due(opened[i]);
    }
    return e;
}

/* --- debits --- */

bool account_covers(const struct account *a, int64_t amount)
{
    return amount <= (a->grants ? a->balance : a->head_remaining);
}

static void take(struct account *a, struct grant *g, int64_t amount)
{
    g->remaining -= amount;
    g->changed = true;
    choose_head(a);
}

id account_debit(struct account *a, const id *ledger_id, int64_t amount)
{
    id head = a->head_grant;
    a->balance -= amount;
    a->changed = true;
    if (amount <= a->head_remaining) {
        if (!a->grants)
            a->head_remaining -= amount;
        else if (amount > 0)
            take(a, find_grant(a, &head), amount);
        return head;
    }
    while (amount > 0 && id_is_set(&a->head_grant)) {
        struct grant *g = find_grant(a, &a->head_grant);
        int64_t part = amount < g->remaining ? amount : g->remaining;
        add_part(a, ledger_id, &g->id, -part);
        amount -= part;
        take(a, g, part);
    }
    return (id){{0}};
}

/* --- refunds --- */

/* What an entry returns to one grant. */
struct returned {
    struct ledger_entry *entry;
    struct account *account;
    id grant_id;
    int64_t amount;
};

static struct ledger_entry *entry_of(struct ledger_entry *refunds, size_t n, const id *execution)
{
    for (size_t i = 0; i < n; i++) {
        if (id_equal(&refunds[i].execution_id, execution))
            return &refunds[i];
    }
    return NULL;
}

/* Reads which grants the debits came from. */
static enum err read_debits(struct db_tx *tx, struct account *accounts, size_t n,
                            struct ledger_entry *refunds, size_t refunds_n, struct returned **list_r,
                            size_t *n_r)
{
    struct db_value *values = talloc_array(tx->ctx, struct db_value, refunds_n + 1);
    struct db_rows *rows;
    for (size_t i = 0; i < refunds_n; i++)
        values[i] = db_id(&refunds[i].execution_id);
    enum err e = db_run_each(tx->db, tx->ctx, SQL_DEBIT_GRANTS, NULL, 0, values, 1, refunds_n, &rows);
    if (e != OK)
        return e;
    struct returned *list = talloc_array(tx->ctx, struct returned, rows->count + 1);
    *n_r = 0;
    for (size_t r = 0; r < rows->count; r++) {
        bool whole = !db_cell(rows, r, DEBIT_GRANTS_GRANT_ID)->is_null;
        id execution = db_get_id(rows, r, DEBIT_GRANTS_ID);
        struct ledger_entry *entry = entry_of(refunds, refunds_n, &execution);
        if (!entry || db_cell(rows, r, whole ? DEBIT_GRANTS_GRANT_ID : DEBIT_GRANTS_PART_GRANT_ID)->is_null)
            continue;
        list[(*n_r)++] = (struct returned){
            .entry = entry,
            .account = account_find(accounts, n, &entry->workspace_id),
            .grant_id = db_get_id(rows, r, whole ? DEBIT_GRANTS_GRANT_ID : DEBIT_GRANTS_PART_GRANT_ID),
            .amount = -db_int(rows, r, whole ? DEBIT_GRANTS_AMOUNT : DEBIT_GRANTS_PART),
        };
    }
    *list_r = list;
    return OK;
}

/* Each refund is what was debited, no more and no less; a release is at most that. */
static bool sums_are_right(const struct returned *list, size_t n, const struct ledger_entry *refunds,
                           size_t refunds_n)
{
    for (size_t i = 0; i < refunds_n; i++) {
        int64_t sum = 0;
        for (size_t k = 0; k < n; k++)
            sum += list[k].entry == &refunds[i] ? list[k].amount : 0;
        bool fits = refunds[i].kind == LEDGER_RELEASE ? sum >= refunds[i].amount && refunds[i].amount > 0
                                                      : sum == refunds[i].amount;
        if (!fits) {
            log_error("credits.refund_refused", "execution=%s refund=%lld debit=%lld",
                      refunds[i].execution_id.text, (long long)refunds[i].amount, (long long)sum);
            return false;
        }
    }
    return true;
}

/* Opens the grants of the accounts whose rows do not suffice, also grants that have nothing left. */
static enum err open_for_refunds(struct db_tx *tx, struct account *accounts, size_t n,
                                 const struct returned *list, size_t list_n)
{
    id *ids = talloc_array(tx->ctx, id, list_n + 1);
    for (size_t i = 0; i < list_n; i++) {
        if (!id_equal(&list[i].grant_id, &list[i].account->head_grant))
            list[i].account->wanted = INT64_MAX;
    }
    enum err e = account_open_grants(tx, accounts, n);
    for (size_t a = 0; e == OK && a < n; a++) {
        size_t ids_n = 0;
        for (size_t i = 0; accounts[a].grants && i < list_n; i++) {
            if (list[i].account == &accounts[a])
                ids[ids_n++] = list[i].grant_id;
        }
        ids_n = id_sort_distinct(ids, ids_n);
        if (ids_n > 0)
            e = read_grants(tx, &accounts[a], ids, ids_n);
    }
    return e;
}

/* --- releases --- */

/* By entry; of each, the grant that was used last comes first. */
static int compare_returned(const void *a, const void *b)
{
    const struct returned *x = a, *y = b;
    if (x->entry != y->entry)
        return (x->entry > y->entry) - (x->entry < y->entry);
    const struct grant *g = x->account->grants ? find_grant(x->account, &x->grant_id) : NULL;
    const struct grant *h = y->account->grants ? find_grant(y->account, &y->grant_id) : NULL;
    return g && h ? compare_grants(h, g) : id_compare(&x->grant_id, &y->grant_id);
}

/* A release returns a part of the debit: first what came from the grant that was used last, so that what was
 * used was paid from those that are used first. */
static void cut_releases(struct returned *list, size_t *n)
{
    const struct ledger_entry *entry = NULL;
    int64_t left = 0;
    size_t kept = 0;
    bool whole = true;
    for (size_t i = 0; whole && i < *n; i++)
        whole = list[i].entry->kind != LEDGER_RELEASE;
    if (whole)
        return;
    qsort(list, *n, sizeof *list, compare_returned);
    for (size_t i = 0; i < *n; i++) {
        if (list[i].entry != entry)
            left = list[i].entry->amount;
        entry = list[i].entry;
        if (list[i].amount > left)
            list[i].amount = left;
        left -= list[i].amount;
        if (list[i].amount > 0)
            list[kept++] = list[i];
    }
    *n = kept;
}

/* The grant that takes the refunds of one that has expired. */
static enum err find_replacement(struct db_tx *tx, struct account *a, const struct grant *expired,
                                 id *found_r)
{
    struct db_value args[] = {db_id(&a->workspace_id), db_id(&expired->id), db_number(a->now_ms)};
    struct db_rows *rows;
    for (size_t i = 0; i < a->grants->n; i++) {
        const struct grant *g = &a->grants->list[i];
        if (id_equal(&g->refund_of, &expired->id) && g->state == GRANT_ACTIVE && !has_expired(a, g)) {
            *found_r = g->id;
            return OK;
        }
    }
    enum err e = db_run(tx->db, tx->ctx, SQL_GRANTS_REPLACEMENT, args, 3, &rows);
    if (e != OK)
        return e;
    if (rows->count > 0) {
        *found_r = db_get_id(rows, 0, GRANTS_OPEN_ID);
        add_read_grant(a, rows, 0);
        return OK;
    }
    int64_t life_ms = expired->expires_ms - expired->effective_ms;
    struct grant fresh = {
        .id = id_new(),
        .state = GRANT_ACTIVE,
        .category = expired->category,
        .priority = expired->priority,
        .effective_ms = a->now_ms,
        .expires_ms = a->now_ms + (life_ms < GRANT_REFUND_LIFE_MS ? life_ms : GRANT_REFUND_LIFE_MS),
        .created_ms = a->now_ms,
        .refund_of = expired->id,
        .changed = true,
    };
    *found_r = fresh.id;
    insert_grant(a, &fresh);
    return OK;
}

/* Returns an amount to an account whose grants are open. *target_r: where it went. */
static enum err return_to_grant(struct db_tx *tx, struct account *a, const id *grant, int64_t amount,
                                id *target_r)
{
    struct grant *g = find_grant(a, grant);
    *target_r = *grant;
    if (!g)
        return ERR_INTERNAL;
    if (g->state == GRANT_VOIDED) {
        id entry = id_new();
        add_entry(a, LEDGER_VOID, &entry, g, -amount, "refund of a voided grant");
        return OK;
    }
    if (has_expired(a, g) && id_is_set(&g->refund_of)) { /* its time was extended once already */
        id entry = id_new();
        add_entry(a, LEDGER_EXPIRY, &entry, g, -amount, "refund of an expired grant");
        return OK;
    }
    if (has_expired(a, g)) {
        enum err e = find_replacement(tx, a, g, target_r);
        if (e != OK)
            return e;
        g = find_grant(a, target_r);
        g->amount += amount;
    }
    if (__builtin_add_overflow(a->balance, amount, &a->balance))
        return ERR_INTERNAL;
    g->remaining += amount;
    g->changed = true;
    choose_head(a);
    return OK;
}

static bool is_whole(const struct returned *back)
{
    return back->amount == back->entry->amount;
}

static enum err give_back(struct db_tx *tx, const struct returned *back)
{
    struct account *a = back->account;
    id target = a->head_grant;
    a->changed = true;
    if (a->grants) {
        enum err e = return_to_grant(tx, a, &back->grant_id, back->amount, &target);
        if (e != OK)
            return e;
    } else {
        if (__builtin_add_overflow(a->balance, back->amount, &a->balance))
            return ERR_INTERNAL;
        a->head_remaining += back->amount;
    }
    if (is_whole(back))
        back->entry->grant_id = target;
    else
        add_part(a, &back->entry->id, &target, back->amount);
    return OK;
}

enum err account_refund(struct db_tx *tx, struct account *accounts, size_t n, struct ledger_entry *refunds,
                        size_t refunds_n)
{
    struct returned *list = NULL;
    size_t list_n = 0;
    if (refunds_n == 0)
        return OK;
    enum err e = read_debits(tx, accounts, n, refunds, refunds_n, &list, &list_n);
    if (e == OK && !sums_are_right(list, list_n, refunds, refunds_n))
        e = ERR_INTERNAL;
    if (e == OK)
        e = open_for_refunds(tx, accounts, n, list, list_n);
    if (e == OK)
        cut_releases(list, &list_n);
    for (size_t i = 0; e == OK && i < list_n; i++)
        e = give_back(tx, &list[i]);
    for (size_t i = 0; e == OK && i < refunds_n; i++)
        account_find(accounts, n, &refunds[i].workspace_id)->alerts.spends -= refunds[i].amount;
    return e;
}

/* --- grants and voids --- */

/* Scheduled grants count in the balance and in the month: whatever the month in which they start, that month
 * has room for them. What has started in this transaction is not in the sum of its month yet. */
static bool has_room(const struct account *a, int64_t amount, int64_t granted)
{
    const struct account_grants *open = a->grants;
    int64_t scheduled = 0, started = 0;
    size_t open_n = 0;
    for (size_t i = 0; i < open->n; i++) {
        scheduled += open->list[i].state == GRANT_SCHEDULED ? open->list[i].amount : 0;
        open_n += open->list[i].state == GRANT_SCHEDULED || open->list[i].remaining > 0;
    }
    for (size_t i = 0; i < open->entries_n; i++)
        started += open->entries[i].kind == LEDGER_GRANT ? open->entries[i].amount : 0;
    return open_n < GRANTS_OPEN_MAX && amount <= GRANTS_TOTAL_MAX - a->balance - scheduled &&
           granted <= GRANTS_TOTAL_MAX - started - scheduled - amount;
}

enum err account_add_grant(struct account *a, const struct grant *grant, int64_t granted)
{
    struct grant g = *grant;
    if (!has_room(a, g.amount, granted))
        return ERR_LIMIT;
    g.state = GRANT_SCHEDULED;
    g.remaining = g.amount;
    g.changed = true;
    if (g.effective_ms <= a->now_ms)
        start_grant(a, &g, &g.id);
    insert_grant(a, &g);
    a->changed = true;
    choose_head(a);
    return OK;
}

enum err account_void_grant(struct db_tx *tx, struct account *a, const id *grant, const id *by,
                            const char *reason, struct grant *before_r)
{
    enum err e = read_grants(tx, a, grant, 1);
    struct grant *g = e == OK ? find_grant(a, grant) : NULL;
    if (!g)
        return e == OK ? ERR_NOT_FOUND : e;
    *before_r = *g;
    if (g->state == GRANT_VOIDED)
        return OK;
    if (has_expired(a, g))
        return ERR_CONFLICT;
    if (g->state == GRANT_ACTIVE && g->remaining > 0) {
        add_entry(a, LEDGER_VOID, by, g, -g->remaining, reason);
        a->balance -= g->remaining;
        a->changed = true;
    }
    g->state = GRANT_VOIDED;
    g->remaining = 0;
    g->ended_ms = a->now_ms;
    g->ended_by = *by;
    g->changed = true;
    choose_head(a);
    return OK;
}

/* --- maintenance --- */

struct due {
    void *ctx;
    /* the accounts to look at; 0: those that are due */
    id workspaces[DUE_MAX];
    size_t workspaces_n;
    struct account *accounts;
    size_t n;
};

static enum err find_due(struct db_tx *tx, struct due *d)
{
    struct db_value limit = db_number(DUE_MAX);
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_ACCOUNT_DUE, &limit, 1, &rows);
    d->workspaces_n = e == OK ? rows->count : 0;
    for (size_t i = 0; i < d->workspaces_n; i++)
        d->workspaces[i] = db_get_id(rows, i, ACCOUNT_DUE_WORKSPACE_ID);
    return e;
}

static enum err due_work(struct db_tx *tx, void *arg)
{
    struct due *d = arg;
    talloc_free_children(d->ctx);
    d->n = 0;
    enum err e = d->workspaces_n == 0 ? find_due(tx, d) : OK;
    if (e != OK || d->workspaces_n == 0)
        return e;
    e = account_lock_free(tx, d->ctx, d->workspaces, d->workspaces_n, &d->accounts, &d->n);
    if (e == OK)
        e = account_open_grants(tx, d->accounts, d->n);
    return e == OK ? account_write(tx, d->accounts, d->n) : e;
}

static enum err make_due_in(struct db *db, struct redis *redis, struct due *d)
{
    enum err e = db_transaction(db, due_work, d);
    if (e == OK && d->n > 0) {
        account_publish(redis, d->accounts, d->n);
        redis_flush(redis);
    }
    return e;
}

enum err grants_make_due(struct db *db, struct redis *redis, size_t *n_r)
{
    struct due d = {.ctx = talloc_new(NULL)};
    enum err e = make_due_in(db, redis, &d);
    *n_r = e == OK ? d.n : 0;
    /* one account that cannot be written must not keep the others */
    for (size_t i = 0; e != OK && !err_is_transient(e) && i < d.workspaces_n; i++) {
        struct due one = {.ctx = talloc_new(NULL), .workspaces = {d.workspaces[i]}, .workspaces_n = 1};
        enum err failed = make_due_in(db, redis, &one);
        if (failed == OK)
            *n_r += one.n;
        else
            log_error("credits.due_failed", "workspace=%s error=%s", one.workspaces[0].text,
                      err_name(failed));
        talloc_free(one.ctx);
    }
    talloc_free(d.ctx);
    return e;
}
