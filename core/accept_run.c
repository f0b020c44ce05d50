#include "core/accept_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "core/account.h"
#include "core/clock.h"
#include "core/crash.h"
#include "core/event_text.h"
#include "core/idempotency.h"
#include "core/json.h"
#include "core/log.h"
#include "core/redis_keys.h"

struct span span_text(const char *text)
{
    return text ? (struct span){.at = text, .size = strlen(text)} : (struct span){0};
}

/* One run of a batch. A verdict of 0 means: not decided yet, and, once all is judged, a winner. */
struct member {
    const struct run_request *q;
    struct run_answer *a;
    struct account *account;
    int64_t cost;
    bool committed; /* by an earlier run of this transaction whose answer was lost */
};

struct batch {
    struct member members[ACCEPT_BATCH_MAX];
    size_t n;
    void *ctx;  /* of the answers */
    void *kept; /* what publishing needs, made anew by each run of the transaction */
    struct account *accounts;
    size_t accounts_n;
};

static bool undecided(const struct member *m)
{
    return m->a->verdict == 0;
}

static bool is_root(const struct run_request *q)
{
    return !id_is_set(&q->parent.id);
}

static struct db_value span_value(struct span s)
{
    return s.at ? db_bytes(s.at, s.size) : db_null();
}

static int64_t cost_of(const struct run_request *q, int64_t account_price)
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
        if (undecided(&b->members[i]))
            workspaces[n++] = b->members[i].q->workspace_id;
    }
    enum err e = account_lock(tx, b->kept, workspaces, n, &b->accounts, &b->accounts_n);
    for (size_t i = 0; e == OK && i < b->n; i++) {
        struct member *m = &b->members[i];
        m->account = account_find(b->accounts, b->accounts_n, &m->q->workspace_id);
        if (undecided(m) && !m->account)
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
        if (!m || !undecided(m))
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
        if (!undecided(m) || !m->q->idempotency_key.at)
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
        if (!undecided(m) || !m->q->tool_call_id.at)
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
        if (undecided(&b->members[i]) && !is_root(b->members[i].q))
            parents[n++] = b->members[i].q->parent.id;
    }
    qsort(parents, n, sizeof *parents, compare_ids);
    for (size_t i = 0; i < n; i++)
        values[i] = db_id(&parents[i]);
    struct db_rows *rows;
    enum err e = db_run_each(tx->db, tx->ctx, SQL_EXECUTION_PARENTS_LOCK, NULL, 0, values, 1, n, &rows);
    for (size_t i = 0; e == OK && i < b->n; i++) {
        struct member *m = &b->members[i];
        if (!undecided(m) || is_root(m->q))
            continue;
        bool ours = false;
        for (size_t r = 0; r < rows->count; r++) {
            if (strcmp(db_str(rows, r, 0), m->q->parent.id.text) == 0)
                ours = db_int(rows, r, 1) == STATE_RUNNING && db_int(rows, r, 2) == m->q->parent.attempt;
        }
        if (!ours)
            m->a->verdict = RUN_PARENT_GONE;
        else if ((e = find_child(tx, m)) == OK && undecided(m))
            e = judge_tree(tx, m);
    }
    return e;
}

static enum err check_versions(struct db_tx *tx, struct batch *b, enum responder_kind kind, enum sql_id query)
{
    struct db_value values[ACCEPT_BATCH_MAX];
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        const struct run_request *q = b->members[i].q;
        bool again = n > 0 && strcmp(values[n - 1].text, q->responder_id.text) == 0;
        if (undecided(&b->members[i]) && q->kind == kind && !q->pinned && !again)
            values[n++] = db_id(&q->responder_id);
    }
    struct db_rows *rows;
    enum err e = db_run_each(tx->db, tx->ctx, query, NULL, 0, values, 1, n, &rows);
    for (size_t i = 0; e == OK && i < b->n; i++) {
        struct member *m = &b->members[i];
        if (!undecided(m) || m->q->kind != kind || m->q->pinned)
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
    for (struct member *w = b->members; w < m && undecided(m); w++) {
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
    if (!undecided(m))
        return;
    m->cost = cost_of(m->q, account->price);
    bool counted = is_root(m->q) && account->max_concurrent > 0;
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

/* --- the rows of the winners --- */

static bool is_new(const struct member *m)
{
    return m->a->verdict == RUN_ACCEPTED && !m->committed;
}

static enum err insert_executions(struct db_tx *tx, struct batch *b)
{
    enum { COLUMNS = 17 };
    struct db_value *values = talloc_array(tx->ctx, struct db_value, b->n * COLUMNS);
    size_t rows = 0;
    for (size_t i = 0; i < b->n; i++) {
        struct member *m = &b->members[i];
        const struct run_request *q = m->q;
        if (!is_new(m))
            continue;
        struct db_value *v = &values[COLUMNS * rows++];
        v[0] = db_id(&q->execution_id);
        v[1] = db_id(&q->workspace_id);
        v[2] = db_id(&q->responder_id);
        v[3] = db_id(&q->principal_id);
        v[4] = db_id(&q->key_id);
        v[5] = db_id(is_root(q) ? &q->execution_id : &q->parent.root_id);
        v[6] = db_id(&q->parent.id);
        v[7] = db_id(&q->retry_of);
        v[8] = db_number(q->kind);
        v[9] = db_number(q->source);
        v[10] = db_number(q->agentic);
        v[11] = db_number(is_root(q) ? 0 : q->parent.depth + 1);
        v[12] = db_number(q->version);
        v[13] = db_number(STATE_QUEUED);
        v[14] = db_number(m->cost);
        v[15] = db_number(id_ms(&q->execution_id));
        v[16] = db_number_or_null(q->parent.deadline_ms, !is_root(q) && q->parent.deadline_ms > 0);
    }
    return db_run_each(tx->db, tx->ctx, SQL_STATES_INSERT, NULL, 0, values, COLUMNS, rows, NULL);
}

static enum err insert_debits(struct db_tx *tx, struct batch *b)
{
    struct ledger_entry *entries = talloc_zero_array(tx->ctx, struct ledger_entry, b->n);
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        struct member *m = &b->members[i];
        if (!is_new(m))
            continue;
        entries[n++] = (struct ledger_entry){
            .workspace_id = m->q->workspace_id,
            .id = m->q->execution_id,
            .kind = LEDGER_DEBIT,
            .amount = -m->cost,
            .execution_id = m->q->execution_id,
            .responder_id = m->q->responder_id,
            .key_id = m->q->key_id,
        };
    }
    return account_ledger(tx, entries, n);
}

static enum err insert_first_events(struct db_tx *tx, struct batch *b)
{
    enum { COLUMNS = 5 };
    struct db_value *values = talloc_array(tx->ctx, struct db_value, b->n * COLUMNS);
    size_t rows = 0;
    for (size_t i = 0; i < b->n; i++) {
        if (!is_new(&b->members[i]))
            continue;
        struct db_value *v = &values[COLUMNS * rows++];
        v[0] = db_id(&b->members[i].q->execution_id);
        v[1] = db_number(1);
        v[2] = db_number(EVENT_QUEUED);
        v[3] = db_number(id_ms(&b->members[i].q->execution_id));
        v[4] = db_null();
    }
    return db_run_each(tx->db, tx->ctx, SQL_EVENT_INSERT, NULL, 0, values, COLUMNS, rows, NULL);
}

static enum err insert_payloads(struct db_tx *tx, struct batch *b)
{
    enum { COLUMNS = 5 };
    struct db_value *values = talloc_array(tx->ctx, struct db_value, b->n * COLUMNS);
    size_t rows = 0;
    for (size_t i = 0; i < b->n; i++) {
        const struct run_request *q = b->members[i].q;
        if (!is_new(&b->members[i]) || !(q->input.at || q->tags.at || q->metadata.at || q->extra.at))
            continue;
        struct db_value *v = &values[COLUMNS * rows++];
        v[0] = db_id(&q->execution_id);
        v[1] = span_value(q->input);
        v[2] = span_value(q->tags);
        v[3] = span_value(q->metadata);
        v[4] = span_value(q->extra);
    }
    return db_run_each(tx->db, tx->ctx, SQL_EXECUTION_PAYLOAD_INSERT, NULL, 0, values, COLUMNS, rows, NULL);
}

static enum err insert_children(struct db_tx *tx, struct batch *b)
{
    enum { COLUMNS = 6 };
    struct db_value *values = talloc_array(tx->ctx, struct db_value, b->n * COLUMNS);
    size_t rows = 0;
    for (size_t i = 0; i < b->n; i++) {
        const struct run_request *q = b->members[i].q;
        if (!is_new(&b->members[i]) || is_root(q))
            continue;
        struct db_value *v = &values[COLUMNS * rows++];
        v[0] = db_id(&q->parent.root_id);
        v[1] = db_id(&q->execution_id);
        v[2] = db_id(&q->parent.id);
        v[3] = db_number(q->parent.step);
        v[4] = db_number(q->parent.item);
        v[5] = db_number(q->parent.try);
    }
    return db_run_each(tx->db, tx->ctx, SQL_EXECUTION_CHILD_INSERT, NULL, 0, values, COLUMNS, rows, NULL);
}

static enum err insert_tags(struct db_tx *tx, const struct run_request *q)
{
    json_object *tags;
    const char *why;
    if (!q->tags.at)
        return OK;
    if (json_parse(tx->ctx, q->tags.at, q->tags.size, 2, &tags, &why) != OK)
        return ERR_INTERNAL; /* the caller had judged them */
    size_t n = json_object_array_length(tags);
    struct db_value *values = talloc_array(tx->ctx, struct db_value, n * 3 + 1);
    for (size_t i = 0; i < n; i++) {
        json_object *tag = json_object_array_get_idx(tags, i);
        values[i * 3] = db_id(&q->workspace_id);
        values[i * 3 + 1] = db_bytes(json_object_get_string(tag), (size_t)json_object_get_string_len(tag));
        values[i * 3 + 2] = db_id(&q->execution_id);
    }
    return db_run_each(tx->db, tx->ctx, SQL_EXECUTION_TAG_INSERT, NULL, 0, values, 3, n, NULL);
}

static enum err insert_chat(struct db_tx *tx, const struct run_request *q)
{
    if (!q->tool_call_id.at && !q->thread_id.at && !id_is_set(&q->message_id))
        return OK;
    struct db_value values[] = {db_id(&q->execution_id), db_id(&q->workspace_id), span_value(q->thread_id),
                                db_id(&q->message_id), span_value(q->tool_call_id)};
    return db_run_each(tx->db, tx->ctx, SQL_EXECUTION_CHAT_INSERT, NULL, 0, values, 5, 1, NULL);
}

static enum err store_keys(struct db_tx *tx, struct batch *b)
{
    struct idempotency_key keys[ACCEPT_BATCH_MAX] = {0};
    struct run_answer answers[ACCEPT_BATCH_MAX];
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        const struct run_request *q = b->members[i].q;
        if (!is_new(&b->members[i]) || !q->idempotency_key.at)
            continue;
        keys[n] = (struct idempotency_key){q->workspace_id, q->idempotency_key, q->fingerprint};
        answers[n++] = *b->members[i].a;
    }
    return idempotency_store(tx, keys, n, answers);
}

static enum err insert_winners(struct db_tx *tx, struct batch *b)
{
    enum err e = insert_executions(tx, b);
    if (e == OK)
        e = insert_payloads(tx, b);
    if (e == OK)
        e = insert_first_events(tx, b);
    if (e == OK)
        e = insert_debits(tx, b);
    if (e == OK)
        e = insert_children(tx, b);
    for (size_t i = 0; e == OK && i < b->n; i++) {
        if (is_new(&b->members[i]) && (e = insert_tags(tx, b->members[i].q)) == OK)
            e = insert_chat(tx, b->members[i].q);
    }
    if (e == OK)
        e = store_keys(tx, b);
    return e;
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
        if (undecided(&b->members[i]))
            judge(b, &b->members[i]);
    }
    if (e == OK)
        e = insert_winners(tx, b);
    if (e == OK)
        e = account_write(tx, b->accounts, b->accounts_n);
    crash_point("accept.before_commit");
    return e;
}

/* --- step 4: Redis --- */

/* "fingerprint status id body"; without a body where it holds what the caller sent: then only MariaDB may
 * replay. */
static struct redis_arg replay_entry(void *ctx, const struct run_request *q)
{
    char hex[65];
    for (int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", q->fingerprint[i]);
    bool whole = q->kind == KIND_WORKFLOW;
    char *text = talloc_asprintf(ctx, "%s %d %s %.*s", hex, q->status, q->execution_id.text,
                                 whole ? (int)q->body.size : 0, whole ? q->body.at : "");
    return redis_bytes(text, talloc_get_size(text) - 1);
}

static void publish_key(struct redis *redis, void *ctx, const struct run_request *q)
{
    const int64_t replay_ms = 600000;
    struct span key = q->idempotency_key;
    struct redis_arg set[] = {redis_text("SET"), redis_key_replay(ctx, &q->workspace_id, key.at, key.size),
                              replay_entry(ctx, q), redis_text("PX"), redis_number(ctx, replay_ms)};
    redis_queue(redis, set, 5);
    struct redis_arg release[] = {redis_key_claim(ctx, &q->workspace_id, key.at, key.size),
                                  redis_text(q->execution_id.text)};
    redis_queue_eval(redis, LUA_ACCEPT_RELEASE, release, 1, 1);
}

static void publish_queued(struct redis *redis, void *ctx, const struct run_request *q)
{
    char *event = event_text(ctx, &q->execution_id, 1, EVENT_QUEUED, id_ms(&q->execution_id), NULL);
    struct redis_arg publish[] = {redis_text("PUBLISH"), redis_channel_events(ctx, &q->execution_id),
                                  redis_text(event)};
    redis_queue(redis, publish, 3);
}

static void publish(struct redis *redis, struct batch *b)
{
    void *scratch = talloc_new(b->ctx);
    struct redis_arg push[ACCEPT_BATCH_MAX + 2] = {redis_text("LPUSH"), redis_key_queue(scratch)};
    size_t pushed = 0;
    for (size_t i = 0; i < b->n; i++) {
        struct member *m = &b->members[i];
        if (m->a->verdict != RUN_ACCEPTED)
            continue;
        push[2 + pushed++] = redis_text(m->q->execution_id.text);
        if (m->q->idempotency_key.at)
            publish_key(redis, scratch, m->q);
    }
    if (pushed > 0)
        redis_queue(redis, push, 2 + pushed);
    account_publish(redis, b->accounts, b->accounts_n);
    for (size_t i = 0; i < b->n; i++) {
        if (b->members[i].a->verdict == RUN_ACCEPTED)
            publish_queued(redis, scratch, b->members[i].q);
    }
    redis_flush(redis);
    talloc_free(scratch);
}

/* --- step 2: suspicion --- */

/* Marks the members whose workspaces Redis takes for empty; keyed ones have asked by themselves. */
static void suspect_by_redis(struct redis *redis, struct batch *b, bool suspects[])
{
    void *scratch = talloc_new(b->ctx);
    struct redis_arg keys[ACCEPT_BATCH_MAX];
    struct member *asked[ACCEPT_BATCH_MAX];
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        struct member *m = &b->members[i];
        suspects[i] = m->q->credits_suspect;
        bool again = i > 0 && strcmp(m->q->workspace_id.text, b->members[i - 1].q->workspace_id.text) == 0;
        if (m->q->idempotency_key.at || again)
            continue;
        asked[n] = m;
        keys[n++] = redis_key_credits(scratch, &m->q->workspace_id);
    }
    struct redis_value answer;
    if (n > 0 && redis_eval(redis, scratch, LUA_CREDITS_LOOK, keys, n, 0, &answer) == OK &&
        answer.kind == REDIS_LIST && answer.count == n) {
        for (size_t k = 0; k < n; k++) {
            if (answer.items[k].kind != REDIS_TEXT)
                continue;
            int64_t balance = strtoll(answer.items[k].text, NULL, 10);
            for (size_t i = 0; i < b->n; i++) {
                const struct run_request *q = b->members[i].q;
                if (strcmp(q->workspace_id.text, asked[k]->q->workspace_id.text) == 0)
                    suspects[i] = suspects[i] || balance < cost_of(q, -1);
            }
        }
    }
    talloc_free(scratch);
}

/* Confirms suspicions without a lock: who truly has not enough is told so, and never enters the transaction.
 * A keyed request goes on: its key may be known, and then it is replayed. */
static void confirm_suspects(struct db *db, struct batch *b, const bool suspects[])
{
    void *scratch = talloc_new(b->ctx);
    struct db_value values[ACCEPT_BATCH_MAX];
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        if (suspects[i] && !b->members[i].q->idempotency_key.at)
            values[n++] = db_id(&b->members[i].q->workspace_id);
    }
    struct db_rows *rows;
    if (n > 0 && db_run_each(db, scratch, SQL_ACCOUNT_PEEK, NULL, 0, values, 1, n, &rows) == OK) {
        for (size_t i = 0; i < b->n; i++) {
            const struct run_request *q = b->members[i].q;
            for (size_t r = 0; suspects[i] && !q->idempotency_key.at && r < rows->count; r++) {
                int64_t price = db_cell(rows, r, 2)->is_null ? -1 : db_int(rows, r, 2);
                if (strcmp(db_str(rows, r, 0), q->workspace_id.text) == 0 &&
                    db_int(rows, r, 1) < cost_of(q, price))
                    b->members[i].a->verdict = RUN_INSUFFICIENT_CREDITS;
            }
        }
    }
    talloc_free(scratch);
}

/* Takes the decided members out of the batch. */
static void drop_decided(struct batch *b)
{
    size_t left = 0;
    for (size_t i = 0; i < b->n; i++) {
        if (undecided(&b->members[i]))
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

void accept_batch(struct db *db, struct redis *redis, void *ctx, const struct run_request *const *requests,
                  size_t n, uint64_t settle_connection, struct run_answer *answers)
{
    struct batch b = {.n = n, .ctx = ctx, .kept = talloc_new(ctx)};
    for (size_t i = 0; i < n; i++) {
        answers[i] = (struct run_answer){.execution_id = requests[i]->execution_id};
        b.members[i] = (struct member){.q = requests[i], .a = &answers[i]};
    }
    if (redis && settle_connection == 0) {
        bool suspects[ACCEPT_BATCH_MAX];
        suspect_by_redis(redis, &b, suspects);
        confirm_suspects(db, &b, suspects);
        drop_decided(&b);
    }
    crash_point("accept.after_script");
    if (b.n > 0) {
        enum err e = settle_connection ? db_transaction_settle(db, settle_connection, accept_work, &b)
                                       : db_transaction(db, accept_work, &b);
        crash_point("accept.after_commit");
        if (e != OK)
            fail_all(&b, e);
        else if (redis)
            publish(redis, &b);
        crash_point("accept.after_push");
    }
    talloc_free(b.kept);
}

/* --- keyed requests, before and beside the batch --- */

/* Takes a replay entry apart. False where it is not ours to read, or has no body. */
static bool read_replay(void *ctx, const struct run_request *q, const struct redis_value *v,
                        enum run_verdict *verdict_r, struct run_answer *a)
{
    char hex[65];
    for (int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", q->fingerprint[i]);
    const size_t head = 64 + 1 + 3 + 1 + ID_LENGTH + 1;
    if (v->size < head)
        return false;
    *verdict_r = memcmp(v->text, hex, 64) == 0 ? RUN_REPLAYED : RUN_KEY_REUSED;
    a->status = (int)strtol(v->text + 65, NULL, 10);
    if (!id_parse(v->text + 69, ID_LENGTH, &a->execution_id))
        return false;
    a->body =
        (struct span){.at = talloc_strndup(ctx, v->text + head, v->size - head), .size = v->size - head};
    return *verdict_r == RUN_KEY_REUSED || a->body.size > 0;
}

enum run_verdict accept_look(struct redis *redis, void *ctx, struct run_request *q, bool *claimed_r,
                             struct run_answer *answer_r)
{
    struct span key = q->idempotency_key;
    struct redis_arg args[] = {
        redis_key_replay(ctx, &q->workspace_id, key.at, key.size),
        redis_key_claim(ctx, &q->workspace_id, key.at, key.size),
        redis_key_credits(ctx, &q->workspace_id),
        redis_text(q->execution_id.text),
    };
    struct redis_value v;
    enum run_verdict verdict = 0;
    *claimed_r = false;
    if (redis_eval(redis, ctx, LUA_ACCEPT_LOOK, args, 3, 1, &v) != OK || v.kind != REDIS_LIST || v.count != 3)
        return 0;
    if (v.items[0].kind == REDIS_TEXT)
        return read_replay(ctx, q, &v.items[0], &verdict, answer_r) ? verdict : 0;
    *claimed_r = v.items[1].number == 1;
    if (!*claimed_r)
        return RUN_IN_FLIGHT;
    if (v.items[2].kind == REDIS_TEXT)
        q->credits_suspect = strtoll(v.items[2].text, NULL, 10) < cost_of(q, -1);
    return 0;
}

void accept_release(struct redis *redis, void *ctx, const struct run_request *q)
{
    struct redis_arg args[] = {
        redis_key_claim(ctx, &q->workspace_id, q->idempotency_key.at, q->idempotency_key.size),
        redis_text(q->execution_id.text),
    };
    redis_queue_eval(redis, LUA_ACCEPT_RELEASE, args, 1, 1);
    redis_flush(redis);
}

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
