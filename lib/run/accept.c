#include "run/accept_private.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "account/idempotency.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"

int64_t accept_cost(const struct run_request *q, int64_t account_price)
{
    int64_t price = q->price >= 0 ? q->price : account_price >= 0 ? account_price : CREDIT_MICRO;
    return price > q->credits_asked ? price : q->credits_asked;
}

/* --- step 3: what only the locks can decide --- */

static enum err lock_accounts(struct db_tx *tx, struct batch *b)
{
    id workspaces[ACCEPT_BATCH_MAX];
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        if (member_undecided(&b->members[i]))
            workspaces[n++] = b->members[i].q->workspace_id;
    }
    enum err e = account_lock(tx, b->kept, workspaces, n, &b->accounts, &b->accounts_n);
    for (size_t i = 0; e == OK && i < b->n; i++) {
        struct member *m = &b->members[i];
        m->account = account_find(b->accounts, b->accounts_n, &m->q->workspace_id);
        if (member_undecided(m) && !m->account)
            m->a->verdict = RUN_BROKEN;
    }
    return e;
}

static struct member *member_of(struct batch *b, const id *execution)
{
    for (size_t i = 0; i < b->n; i++) {
        if (strcmp(b->members[i].q->execution_id.text, execution->text) == 0)
            return &b->members[i];
    }
    return NULL;
}

/* After a lost commit or a lost leader: an id that is there had been accepted. It is told only after this
 * transaction, which touches the account, was flushed. */
static enum err find_committed(struct db_tx *tx, struct batch *b)
{
    struct db_value values[ACCEPT_BATCH_MAX];
    struct db_rows *rows;
    for (size_t i = 0; i < b->n; i++)
        values[i] = db_id(&b->members[i].q->execution_id);
    enum err e = db_run_each(tx->db, tx->ctx, SQL_EXECUTION_IDS, NULL, 0, values, 1, b->n, &rows);
    for (size_t r = 0; e == OK && r < rows->count; r++) {
        id found = db_get_id(rows, r, 0);
        struct member *m = member_of(b, &found);
        if (!m || !member_undecided(m))
            continue;
        m->committed = true;
        m->a->verdict = RUN_ACCEPTED;
        m->account->touched = true;
    }
    return e;
}

static enum err find_keys(struct db_tx *tx, struct batch *b)
{
    struct idempotency_key keys[ACCEPT_BATCH_MAX] = {0};
    struct member *keyed[ACCEPT_BATCH_MAX];
    enum run_verdict verdicts[ACCEPT_BATCH_MAX];
    struct run_answer found[ACCEPT_BATCH_MAX];
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        struct member *m = &b->members[i];
        if (!member_undecided(m) || !m->q->idempotency_key.at)
            continue;
        keys[n] = (struct idempotency_key){m->q->workspace_id, m->q->idempotency_key, m->q->fingerprint};
        keyed[n++] = m;
    }
    memset(found, 0, sizeof found);
    enum err e = idempotency_find(tx, b->ctx, keys, n, verdicts, found);
    for (size_t i = 0; e == OK && i < n; i++) {
        if (verdicts[i] == 0)
            continue;
        *keyed[i]->a = found[i];
        keyed[i]->a->verdict = verdicts[i];
        keyed[i]->account->touched = true;
    }
    return e;
}

static enum err find_tool_calls(struct db_tx *tx, struct batch *b)
{
    enum err e = OK;
    for (size_t i = 0; e == OK && i < b->n; i++) {
        struct member *m = &b->members[i];
        if (!member_undecided(m) || !m->q->tool_call_id.at)
            continue;
        struct db_value args[] = {db_id(&m->q->workspace_id), span_value(m->q->tool_call_id)};
        struct db_rows *rows;
        e = db_run(tx->db, tx->ctx, SQL_EXECUTION_CHAT_FIND, args, 2, &rows);
        if (e == OK && rows->count > 0) {
            m->a->verdict = RUN_TOOL_CALL_EXISTS;
            m->a->execution_id = db_get_id(rows, 0, 0);
        }
    }
    return e;
}

/* The child that this (parent, step, item, try) has already, if any. */
static enum err find_child(struct db_tx *tx, struct member *m)
{
    const struct run_request *q = m->q;
    struct db_value args[] = {db_id(&q->parent.id), db_number(q->parent.step), db_number(q->parent.item),
                              db_number(q->parent.try)};
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_EXECUTION_CHILD_FIND, args, 4, &rows);
    if (e == OK && rows->count > 0) {
        m->a->verdict = RUN_CHILD_EXISTS;
        m->a->execution_id = db_get_id(rows, 0, 0);
        m->account->touched = true;
    }
    return e;
}

static enum err judge_tree(struct db_tx *tx, struct member *m)
{
    if (m->q->parent.depth + 1 >= TREE_DEPTH_MAX) {
        m->a->verdict = RUN_TREE_LIMIT;
        return OK;
    }
    struct db_value root = db_id(&m->q->parent.root_id);
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_EXECUTION_TREE_SIZE, &root, 1, &rows);
    /* the root itself counts, and so may all that this very batch adds */
    if (e == OK && db_int(rows, 0, 0) + ACCEPT_BATCH_MAX >= TREE_SIZE_MAX)
        m->a->verdict = RUN_TREE_LIMIT;
    return e;
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(((const id *)a)->text, ((const id *)b)->text);
}

static enum err lock_parents(struct db_tx *tx, struct batch *b)
{
    struct db_value values[ACCEPT_BATCH_MAX];
    id parents[ACCEPT_BATCH_MAX];
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        if (member_undecided(&b->members[i]) && !run_is_root(b->members[i].q))
            parents[n++] = b->members[i].q->parent.id;
    }
    qsort(parents, n, sizeof *parents, compare_ids);
    for (size_t i = 0; i < n; i++)
        values[i] = db_id(&parents[i]);
    struct db_rows *rows;
    enum err e = db_run_each(tx->db, tx->ctx, SQL_EXECUTION_PARENTS_LOCK, NULL, 0, values, 1, n, &rows);
    for (size_t i = 0; e == OK && i < b->n; i++) {
        struct member *m = &b->members[i];
        if (!member_undecided(m) || run_is_root(m->q))
            continue;
        bool ours = false;
        for (size_t r = 0; r < rows->count; r++) {
            if (strcmp(db_str(rows, r, 0), m->q->parent.id.text) == 0)
                ours = db_int(rows, r, 1) == STATE_RUNNING && db_int(rows, r, 2) == m->q->parent.attempt;
        }
        if (!ours)
            m->a->verdict = RUN_PARENT_GONE;
        else if ((e = find_child(tx, m)) == OK && member_undecided(m))
            e = judge_tree(tx, m);
    }
    return e;
}

static bool version_in_doubt(const struct member *m, enum responder_kind kind)
{
    return member_undecided(m) && m->q->kind == kind && accept_in_doubt(m->q, m->account->responders);
}

static enum err check_versions(struct db_tx *tx, struct batch *b, enum responder_kind kind, enum sql_id query)
{
    struct db_value values[ACCEPT_BATCH_MAX];
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        const struct run_request *q = b->members[i].q;
        bool again = n > 0 && strcmp(values[n - 1].text, q->responder_id.text) == 0;
        if (version_in_doubt(&b->members[i], kind) && !again)
            values[n++] = db_id(&q->responder_id);
    }
    struct db_rows *rows;
    enum err e = db_run_each(tx->db, tx->ctx, query, NULL, 0, values, 1, n, &rows);
    for (size_t i = 0; e == OK && i < b->n; i++) {
        struct member *m = &b->members[i];
        if (!version_in_doubt(m, kind))
            continue;
        bool current = false;
        for (size_t r = 0; r < rows->count && !current; r++)
            current = strcmp(db_str(rows, r, 0), m->q->responder_id.text) == 0 &&
                      db_int(rows, r, 1) == m->q->version;
        if (!current)
            m->a->verdict = RUN_RESPONDER_CHANGED;
    }
    return e;
}

static bool spans_equal(struct span a, struct span b)
{
    return a.at && b.at && a.size == b.size && memcmp(a.at, b.at, a.size) == 0;
}

/* A member that comes second in its own batch, with a key or tool call that an earlier winner has just taken.
 */
static void judge_twin(struct batch *b, struct member *m)
{
    for (struct member *w = b->members; w < m && member_undecided(m); w++) {
        if (w->a->verdict != RUN_ACCEPTED || strcmp(w->q->workspace_id.text, m->q->workspace_id.text) != 0)
            continue;
        if (spans_equal(w->q->idempotency_key, m->q->idempotency_key)) {
            bool same = memcmp(w->q->fingerprint, m->q->fingerprint, sizeof m->q->fingerprint) == 0;
            m->a->verdict = same ? RUN_REPLAYED : RUN_KEY_REUSED;
        } else if (spans_equal(w->q->tool_call_id, m->q->tool_call_id)) {
            m->a->verdict = RUN_TOOL_CALL_EXISTS;
        } else {
            continue;
        }
        m->a->execution_id = w->q->execution_id;
        m->a->status = w->q->status;
        m->a->body = w->q->body;
    }
}

/* Money and concurrency: what is left over is a winner, and the account shows it at once to those behind. */
static void judge(struct batch *b, struct member *m)
{
    struct account *account = m->account;
    judge_twin(b, m);
    if (!member_undecided(m))
        return;
    m->cost = accept_cost(m->q, account->price);
    bool counted = run_is_root(m->q) && account->max_concurrent > 0;
    if (account->balance < m->cost) {
        m->a->verdict = RUN_INSUFFICIENT_CREDITS;
    } else if (counted && account->active >= account->max_concurrent) {
        m->a->verdict = RUN_CONCURRENCY_LIMITED;
        m->a->active = account->active;
        m->a->limit = account->max_concurrent;
    } else {
        m->a->verdict = RUN_ACCEPTED;
        m->a->execution_id = m->q->execution_id;
        m->a->status = m->q->status;
        m->a->body = m->q->body;
        m->a->cost = m->cost;
        account->balance -= m->cost;
        account->active += counted;
        account->changed = true;
    }
}

/* The transaction. May run more than once: it begins by forgetting what an earlier run found. */
static enum err accept_work(struct db_tx *tx, void *arg)
{
    struct batch *b = arg;
    talloc_free_children(b->kept);
    for (size_t i = 0; i < b->n; i++) {
        struct member *m = &b->members[i];
        *m->a = (struct run_answer){
            .execution_id = m->q->execution_id, .status = m->q->status, .body = m->q->body};
        m->committed = false;
        m->account = NULL;
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
        e = check_versions(tx, b, KIND_WORKFLOW, SQL_WORKFLOW_VERSIONS_NOW);
    if (e == OK)
        e = check_versions(tx, b, KIND_SKILL, SQL_SKILL_VERSIONS_NOW);
    for (size_t i = 0; e == OK && i < b->n; i++) {
        if (member_undecided(&b->members[i]))
            judge(b, &b->members[i]);
    }
    if (e == OK)
        e = accept_insert(tx, b);
    if (e == OK)
        e = account_write(tx, b->accounts, b->accounts_n);
    crash_point("accept.before_commit");
    return e;
}

/* Takes the decided members out of the batch. */
static void drop_decided(struct batch *b)
{
    size_t left = 0;
    for (size_t i = 0; i < b->n; i++) {
        if (member_undecided(&b->members[i]))
            b->members[left++] = b->members[i];
    }
    b->n = left;
}

static void fail_all(struct batch *b, enum err e)
{
    enum run_verdict verdict = e == ERR_BUSY        ? RUN_UNAVAILABLE
                               : e == ERR_UNCERTAIN ? RUN_UNCERTAIN
                                                    : RUN_BROKEN;
    for (size_t i = 0; i < b->n; i++)
        *b->members[i].a =
            (struct run_answer){.verdict = verdict, .execution_id = b->members[i].q->execution_id};
}

static enum err run_transaction(struct db *db, struct batch *b, uint64_t settle_connection)
{
    return settle_connection ? db_transaction_settle(db, settle_connection, accept_work, b)
                             : db_transaction(db, accept_work, b);
}

/* Decides the batch, and publishes what came of it. */
static enum err decide(struct db *db, struct redis *redis, struct batch *b, uint64_t settle_connection)
{
    b->kept = talloc_new(b->ctx);
    enum err e = run_transaction(db, b, settle_connection);
    crash_point("accept.after_commit");
    if (e != OK)
        fail_all(b, e);
    else if (redis)
        accept_publish(redis, b);
    crash_point("accept.after_push");
    talloc_free(b->kept);
    return e;
}

/* A member whose rows the database refuses must not take the others with it: each goes by itself. */
static void decide_singly(struct db *db, struct redis *redis, const struct batch *b)
{
    log_error("accept.batch_refused", "members=%zu", b->n);
    for (size_t i = 0; i < b->n; i++) {
        struct batch one = {.n = 1, .ctx = b->ctx, .members = {b->members[i]}};
        if (decide(db, redis, &one, 0) != OK)
            log_error("accept.refused", "execution=%s", b->members[i].q->execution_id.text);
    }
}

void accept_batch(struct db *db, struct redis *redis, void *ctx, const struct run_request *const *requests,
                  size_t n, uint64_t settle_connection, struct run_answer *answers)
{
    struct batch b = {.n = n, .ctx = ctx};
    for (size_t i = 0; i < n; i++) {
        answers[i] = (struct run_answer){.execution_id = requests[i]->execution_id};
        b.members[i] = (struct member){.q = requests[i], .a = &answers[i]};
    }
    if (redis && settle_connection == 0) {
        accept_refuse_poor(db, redis, &b);
        drop_decided(&b);
    }
    crash_point("accept.after_script");
    if (b.n > 0 && decide(db, redis, &b, settle_connection) == ERR_INTERNAL && b.n > 1)
        decide_singly(db, redis, &b);
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
