#include "run/accept_private.h"

#include <string.h>
#include <talloc.h>

#include "account/credits.h"
#include "account/idempotency.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"

int64_t accept_cost(const struct run_request *req, int64_t account_price)
{
    int64_t price = req->price >= 0 ? req->price : account_price >= 0 ? account_price : CREDIT_MICRO;
    return price > req->credits_asked ? price : req->credits_asked;
}

/* --- step 3: what only the locks can decide --- */

static enum err lock_accounts(struct db_tx *tx, struct accept_batch *b)
{
    id workspaces[ACCEPT_BATCH_MAX];
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        if (entry_is_undecided(&b->entries[i]))
            workspaces[n++] = b->entries[i].req->workspace_id;
    }
    enum err e = account_lock(tx, b->publish_ctx, workspaces, n, &b->accounts, &b->accounts_n);
    for (size_t i = 0; e == OK && i < b->n; i++) {
        struct accept_entry *entry = &b->entries[i];
        entry->account = account_find(b->accounts, b->accounts_n, &entry->req->workspace_id);
        if (entry_is_undecided(entry) && !entry->account)
            entry->answer->verdict = RUN_INTERNAL;
    }
    return e;
}

static struct accept_entry *entry_of(struct accept_batch *b, const id *execution)
{
    for (size_t i = 0; i < b->n; i++) {
        if (id_equal(&b->entries[i].req->execution_id, execution))
            return &b->entries[i];
    }
    return NULL;
}

/* After a lost commit or a lost leader: an id that is there had been accepted. It is told only after this
 * transaction, which touches the account, was flushed. */
static enum err find_committed(struct db_tx *tx, struct accept_batch *b)
{
    struct db_value values[ACCEPT_BATCH_MAX];
    struct db_rows *rows;
    for (size_t i = 0; i < b->n; i++)
        values[i] = db_id(&b->entries[i].req->execution_id);
    enum err e = db_run_each(tx->db, tx->ctx, SQL_EXECUTION_FIND_IDS, NULL, 0, values, 1, b->n, &rows);
    for (size_t r = 0; e == OK && r < rows->count; r++) {
        id found = db_get_id(rows, r, EXECUTION_FIND_IDS_ID);
        struct accept_entry *entry = entry_of(b, &found);
        if (!entry || !entry_is_undecided(entry))
            continue;
        entry->committed = true;
        entry->answer->verdict = RUN_ACCEPTED;
        entry->account->touched = true;
    }
    return e;
}

static enum err find_keys(struct db_tx *tx, struct accept_batch *b)
{
    struct idempotency_key keys[ACCEPT_BATCH_MAX] = {0};
    struct accept_entry *keyed[ACCEPT_BATCH_MAX];
    enum run_verdict verdicts[ACCEPT_BATCH_MAX];
    struct run_answer found[ACCEPT_BATCH_MAX];
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        struct accept_entry *entry = &b->entries[i];
        if (!entry_is_undecided(entry) || !entry->req->idempotency_key.at)
            continue;
        keys[n] = (struct idempotency_key){entry->req->workspace_id, entry->req->idempotency_key,
                                           entry->req->fingerprint};
        keyed[n++] = entry;
    }
    memset(found, 0, sizeof found);
    enum err e = idempotency_find(tx, b->ctx, keys, n, verdicts, found);
    for (size_t i = 0; e == OK && i < n; i++) {
        if (verdicts[i] == 0)
            continue;
        *keyed[i]->answer = found[i];
        keyed[i]->answer->verdict = verdicts[i];
        keyed[i]->account->touched = true;
    }
    return e;
}

static enum err find_tool_calls(struct db_tx *tx, struct accept_batch *b)
{
    enum err e = OK;
    for (size_t i = 0; e == OK && i < b->n; i++) {
        struct accept_entry *entry = &b->entries[i];
        if (!entry_is_undecided(entry) || !entry->req->tool_call_id.at)
            continue;
        struct db_value args[] = {db_id(&entry->req->workspace_id),
                                  span_value_or_null(entry->req->tool_call_id)};
        struct db_rows *rows;
        e = db_run(tx->db, tx->ctx, SQL_EXECUTION_CHAT_FIND, args, 2, &rows);
        if (e == OK && rows->count > 0) {
            entry->answer->verdict = RUN_TOOL_CALL_EXISTS;
            entry->answer->execution_id = db_get_id(rows, 0, EXECUTION_CHAT_FIND_EXECUTION_ID);
        }
    }
    return e;
}

/* The child that this (parent, step, item, try) has already, if any. */
static enum err find_child(struct db_tx *tx, struct accept_entry *entry)
{
    const struct run_request *req = entry->req;
    struct db_value args[] = {db_id(&req->parent.id), db_number(req->parent.step),
                              db_number(req->parent.item), db_number(req->parent.try)};
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_EXECUTION_CHILD_FIND, args, 4, &rows);
    if (e == OK && rows->count > 0) {
        entry->answer->verdict = RUN_CHILD_EXISTS;
        entry->answer->execution_id = db_get_id(rows, 0, EXECUTION_CHILD_FIND_CHILD_ID);
        entry->account->touched = true;
    }
    return e;
}

static enum err check_tree_limits(struct db_tx *tx, struct accept_entry *entry)
{
    if (entry->req->parent.depth + 1 >= TREE_DEPTH_MAX) {
        entry->answer->verdict = RUN_TREE_LIMIT;
        return OK;
    }
    struct db_value root = db_id(&entry->req->parent.root_id);
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_EXECUTION_TREE_SIZE, &root, 1, &rows);
    /* the root itself counts, and so may all that this very batch adds */
    if (e == OK && db_int(rows, 0, EXECUTION_TREE_SIZE_N) + ACCEPT_BATCH_MAX >= TREE_SIZE_MAX)
        entry->answer->verdict = RUN_TREE_LIMIT;
    return e;
}

static enum err lock_parents(struct db_tx *tx, struct accept_batch *b)
{
    struct db_value values[ACCEPT_BATCH_MAX];
    id parents[ACCEPT_BATCH_MAX];
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        if (entry_is_undecided(&b->entries[i]) && !run_request_is_root(b->entries[i].req))
            parents[n++] = b->entries[i].req->parent.id;
    }
    n = id_sort_distinct(parents, n);
    for (size_t i = 0; i < n; i++)
        values[i] = db_id(&parents[i]);
    struct db_rows *rows;
    enum err e = db_run_each(tx->db, tx->ctx, SQL_EXECUTION_PARENTS_LOCK, NULL, 0, values, 1, n, &rows);
    for (size_t i = 0; e == OK && i < b->n; i++) {
        struct accept_entry *entry = &b->entries[i];
        if (!entry_is_undecided(entry) || run_request_is_root(entry->req))
            continue;
        bool ours = false;
        for (size_t r = 0; r < rows->count; r++) {
            if (strcmp(db_str(rows, r, EXECUTION_PARENTS_LOCK_ID), entry->req->parent.id.text) == 0)
                ours = db_int(rows, r, EXECUTION_PARENTS_LOCK_STATE) == STATE_RUNNING &&
                       db_int(rows, r, EXECUTION_PARENTS_LOCK_ATTEMPT) == entry->req->parent.attempt;
        }
        if (!ours)
            entry->answer->verdict = RUN_PARENT_GONE;
        else if ((e = find_child(tx, entry)) == OK && entry_is_undecided(entry))
            e = check_tree_limits(tx, entry);
    }
    return e;
}

static bool version_may_be_stale(const struct accept_entry *entry, enum responder_kind kind)
{
    return entry_is_undecided(entry) && entry->req->kind == kind &&
           accept_version_may_be_stale(entry->req, entry->account->catalog_version);
}

static enum err check_versions(struct db_tx *tx, struct accept_batch *b, enum responder_kind kind,
                               enum sql_id query)
{
    struct db_value values[ACCEPT_BATCH_MAX];
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        const struct run_request *req = b->entries[i].req;
        bool again = n > 0 && strcmp(values[n - 1].text, req->responder_id.text) == 0;
        if (version_may_be_stale(&b->entries[i], kind) && !again)
            values[n++] = db_id(&req->responder_id);
    }
    struct db_rows *rows;
    enum err e = db_run_each(tx->db, tx->ctx, query, NULL, 0, values, 1, n, &rows);
    for (size_t i = 0; e == OK && i < b->n; i++) {
        struct accept_entry *entry = &b->entries[i];
        if (!version_may_be_stale(entry, kind))
            continue;
        bool current = false;
        for (size_t r = 0; r < rows->count && !current; r++)
            current =
                strcmp(db_str(rows, r, WORKFLOW_CURRENT_VERSIONS_ID), entry->req->responder_id.text) == 0 &&
                db_int(rows, r, WORKFLOW_CURRENT_VERSIONS_VERSION) == entry->req->version;
        if (!current)
            entry->answer->verdict = RUN_RESPONDER_CHANGED;
    }
    return e;
}

static bool spans_equal(struct span a, struct span b)
{
    return a.at && b.at && a.size == b.size && memcmp(a.at, b.at, a.size) == 0;
}

/* A member that comes second in its own batch, with a key or tool call that an earlier winner has just taken.
 */
static void check_duplicate_in_batch(struct accept_batch *b, struct accept_entry *entry)
{
    for (struct accept_entry *earlier = b->entries; earlier < entry && entry_is_undecided(entry); earlier++) {
        if (earlier->answer->verdict != RUN_ACCEPTED ||
            !id_equal(&earlier->req->workspace_id, &entry->req->workspace_id))
            continue;
        if (spans_equal(earlier->req->idempotency_key, entry->req->idempotency_key)) {
            bool same = memcmp(earlier->req->fingerprint, entry->req->fingerprint,
                               sizeof entry->req->fingerprint) == 0;
            entry->answer->verdict = same ? RUN_REPLAYED : RUN_KEY_REUSED;
        } else if (spans_equal(earlier->req->tool_call_id, entry->req->tool_call_id)) {
            entry->answer->verdict = RUN_TOOL_CALL_EXISTS;
        } else {
            continue;
        }
        entry->answer->execution_id = earlier->req->execution_id;
        entry->answer->status = earlier->req->status;
        entry->answer->body = earlier->req->body;
    }
}

/* Money and concurrency: what is left over is a winner, and the account shows it at once to those behind. */
static void decide_entry(struct accept_batch *b, struct accept_entry *entry)
{
    struct account *account = entry->account;
    check_duplicate_in_batch(b, entry);
    if (!entry_is_undecided(entry))
        return;
    entry->cost = accept_cost(entry->req, account->price);
    bool counted = run_request_is_root(entry->req) && account->max_concurrent > 0;
    if (account->balance < entry->cost) {
        entry->answer->verdict = RUN_INSUFFICIENT_CREDITS;
    } else if (counted && account->active >= account->max_concurrent) {
        entry->answer->verdict = RUN_CONCURRENCY_LIMITED;
        entry->answer->active = account->active;
        entry->answer->limit = account->max_concurrent;
    } else {
        entry->answer->verdict = RUN_ACCEPTED;
        entry->answer->execution_id = entry->req->execution_id;
        entry->answer->status = entry->req->status;
        entry->answer->body = entry->req->body;
        entry->answer->cost = entry->cost;
        account->balance -= entry->cost;
        account->active += counted;
        account->changed = true;
    }
}

/* The transaction. May run more than once: it begins by forgetting what an earlier run found. */
static enum err accept_work(struct db_tx *tx, void *arg)
{
    struct accept_batch *b = arg;
    talloc_free_children(b->publish_ctx);
    for (size_t i = 0; i < b->n; i++) {
        struct accept_entry *entry = &b->entries[i];
        *entry->answer = (struct run_answer){
            .execution_id = entry->req->execution_id, .status = entry->req->status, .body = entry->req->body};
        entry->committed = false;
        entry->account = NULL;
    }
    enum err e = lock_accounts(tx, b);
    if (e == OK && tx->settling)
        e = find_committed(tx, b);
    if (e == OK)
        e = find_keys(tx, b);
    if (e == OK)
        e = find_tool_calls(tx, b);
    if (e == OK)
        e = lock_parents(tx, b);
    if (e == OK)
        e = check_versions(tx, b, KIND_WORKFLOW, SQL_WORKFLOW_CURRENT_VERSIONS);
    if (e == OK)
        e = check_versions(tx, b, KIND_SKILL, SQL_SKILL_CURRENT_VERSIONS);
    for (size_t i = 0; e == OK && i < b->n; i++) {
        if (entry_is_undecided(&b->entries[i]))
            decide_entry(b, &b->entries[i]);
    }
    if (e == OK)
        e = accept_insert(tx, b);
    if (e == OK)
        e = account_write(tx, b->accounts, b->accounts_n);
    failpoint("accept.before_commit");
    return e;
}

/* Takes the decided entries out of the batch. */
static void remove_decided(struct accept_batch *b)
{
    size_t left = 0;
    for (size_t i = 0; i < b->n; i++) {
        if (entry_is_undecided(&b->entries[i]))
            b->entries[left++] = b->entries[i];
    }
    b->n = left;
}

static void fail_batch(struct accept_batch *b, enum err e)
{
    enum run_verdict verdict = e == ERR_BUSY        ? RUN_UNAVAILABLE
                               : e == ERR_UNCERTAIN ? RUN_UNCERTAIN
                                                    : RUN_INTERNAL;
    for (size_t i = 0; i < b->n; i++)
        *b->entries[i].answer =
            (struct run_answer){.verdict = verdict, .execution_id = b->entries[i].req->execution_id};
}

static enum err accept_transaction(struct db *db, struct accept_batch *b, uint64_t settle_connection)
{
    return settle_connection ? db_transaction_settle(db, settle_connection, accept_work, b)
                             : db_transaction(db, accept_work, b);
}

/* Decides the batch, and publishes what came of it. */
static enum err decide_batch(struct db *db, struct redis *redis, struct accept_batch *b,
                             uint64_t settle_connection)
{
    b->publish_ctx = talloc_new(b->ctx);
    enum err e = accept_transaction(db, b, settle_connection);
    failpoint("accept.after_commit");
    if (e != OK)
        fail_batch(b, e);
    else if (redis)
        accept_publish(redis, b);
    failpoint("accept.after_push");
    talloc_free(b->publish_ctx);
    return e;
}

/* A member whose rows the database refuses must not take the others with it: each goes by itself. */
static void decide_one_by_one(struct db *db, struct redis *redis, const struct accept_batch *b)
{
    log_error("accept.batch_refused", "members=%zu", b->n);
    for (size_t i = 0; i < b->n; i++) {
        struct accept_batch one = {.n = 1, .ctx = b->ctx, .entries = {b->entries[i]}};
        if (decide_batch(db, redis, &one, 0) != OK)
            log_error("accept.refused", "execution=%s", b->entries[i].req->execution_id.text);
    }
}

void accept_batch(struct db *db, struct redis *redis, void *ctx, const struct run_request *const *requests,
                  size_t n, uint64_t settle_connection, struct run_answer *answers)
{
    struct accept_batch b = {.n = n, .ctx = ctx};
    for (size_t i = 0; i < n; i++) {
        answers[i] = (struct run_answer){.execution_id = requests[i]->execution_id};
        b.entries[i] = (struct accept_entry){.req = requests[i], .answer = &answers[i]};
    }
    if (redis && settle_connection == 0) {
        accept_reject_insufficient_credits(db, redis, &b);
        remove_decided(&b);
    }
    failpoint("accept.after_script");
    if (b.n > 0 && decide_batch(db, redis, &b, settle_connection) == ERR_INTERNAL && b.n > 1)
        decide_one_by_one(db, redis, &b);
}

/* --- keys, without a run --- */

struct find_key {
    void *ctx;
    struct idempotency_key key;
    enum run_verdict verdict;
    struct run_answer *answer;
};

static enum err find_key_work(struct db_tx *tx, void *arg)
{
    struct find_key *f = arg;
    struct account *account;
    size_t n;
    enum err e = account_lock(tx, tx->ctx, &f->key.workspace_id, 1, &account, &n);
    if (e == OK)
        e = idempotency_find(tx, f->ctx, &f->key, 1, &f->verdict, f->answer);
    if (e == OK && n == 1 && f->verdict == RUN_REPLAYED) {
        account->touched = true;
        e = account_write(tx, account, 1);
    }
    return e;
}

enum run_verdict accept_find_key(struct db *db, void *ctx, const id *workspace, struct span key,
                                 const uint8_t fingerprint[32], struct run_answer *answer_r)
{
    struct find_key f = {.ctx = ctx, .key = {*workspace, key, fingerprint}, .answer = answer_r};
    *answer_r = (struct run_answer){0};
    if (db_transaction(db, find_key_work, &f) != OK)
        return RUN_UNAVAILABLE;
    return f.verdict;
}
