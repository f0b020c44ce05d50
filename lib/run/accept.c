#include "run/accept.h"
#include "run/stop_marks.h"

#include <string.h>
#include <talloc.h>
#include <time.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "run/accept_private.h"
#include "run/batch.h"

enum {
    /* Between two attempts to settle entries whose accounts are locked. */
    SETTLE_PAUSE_MS = 20,
};

/* --- inside the transaction --- */

/* Decides an entry whose account was not locked: another transaction holds it, or there is none. */
static enum err decide_unlocked(struct db_tx *tx, struct accept_entry *entry)
{
    struct db_value workspace = db_id(&entry->req->workspace_id);
    struct db_rows *rows;
    enum err e = db_run_each(tx->db, tx->ctx, SQL_ACCOUNT_READ, NULL, 0, &workspace, 1, 1, &rows);
    if (e != OK)
        return e;
    entry->answer->verdict = rows->count > 0 ? RUN_ACCOUNT_BUSY : RUN_INTERNAL;
    entry->answer->account_version = rows->count > 0 ? db_int(rows, 0, ACCOUNT_READ_VERSION) : 0;
    entry->unsettled = tx->settling && rows->count > 0;
    return OK;
}

/* Never waits: the other workspaces of the batch, and the accounts that are locked already, must not wait for
 * one locked account. */
static enum err lock_accounts(struct db_tx *tx, struct accept_batch *b)
{
    id workspaces[ACCEPT_BATCH_MAX];
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        if (entry_is_undecided(&b->entries[i]))
            workspaces[n++] = b->entries[i].req->workspace_id;
    }
    const struct accept_entry *unlocked = NULL; /* decided last; the items of a batch are all alike */
    enum err e = account_lock_free(tx, b->publish_ctx, workspaces, n, &b->accounts, &b->accounts_n);
    for (size_t i = 0; e == OK && i < b->n; i++) {
        struct accept_entry *entry = &b->entries[i];
        entry->account = account_find(b->accounts, b->accounts_n, &entry->req->workspace_id);
        if (!entry_is_undecided(entry) || entry->account)
            continue;
        if (unlocked && id_equal(&unlocked->req->workspace_id, &entry->req->workspace_id)) {
            entry->answer->verdict = unlocked->answer->verdict;
            entry->answer->account_version = unlocked->answer->account_version;
            entry->unsettled = unlocked->unsettled;
        } else {
            e = decide_unlocked(tx, entry);
            unlocked = entry;
        }
    }
    return e;
}

/* All requests of one call have the same batch. */
static bool is_batch(const struct accept_batch *b)
{
    return id_is_set(&b->entries[0].req->batch_id);
}

static struct accept_entry *entry_of(struct accept_batch *b, const id *execution)
{
    for (size_t i = 0; i < b->n; i++) {
        if (id_equal(&b->entries[i].req->execution_id, execution))
            return &b->entries[i];
    }
    return NULL;
}

/* Reads which of the runs exist. The items of a batch have ascending ids. */
static enum err read_existing(struct db_tx *tx, const struct accept_batch *b, struct db_rows **rows_r)
{
    struct db_value values[ACCEPT_BATCH_MAX];
    if (is_batch(b))
        return batch_read_runs(tx->db, tx->ctx, &b->entries[0].req->execution_id,
                               &b->entries[b->n - 1].req->execution_id, rows_r);
    for (size_t i = 0; i < b->n; i++)
        values[i] = db_id(&b->entries[i].req->execution_id);
    return db_run_each(tx->db, tx->ctx, SQL_EXECUTION_FIND_IDS, NULL, 0, values, 1, b->n, rows_r);
}

/* After a lost COMMIT response or a dead leader, and for the items of a batch, which an earlier or a parallel
 * request may have accepted: an execution that exists was accepted. */
static enum err find_committed(struct db_tx *tx, struct accept_batch *b)
{
    struct db_rows *rows;
    enum err e = read_existing(tx, b, &rows);
    for (size_t r = 0; e == OK && r < rows->count; r++) {
        id found = db_get_id(rows, r, EXECUTION_FIND_IDS_ID);
        struct accept_entry *entry = entry_of(b, &found);
        if (!entry || !entry_is_undecided(entry))
            continue;
        entry->committed = true;
        entry->answer->verdict = RUN_ACCEPTED;
    }
    return e;
}

/* The items of a finished batch have their results. A batch is finished under the account's lock, too. */
static enum err check_batch(struct db_tx *tx, struct accept_batch *b)
{
    struct db_value batch = db_id(&b->entries[0].req->batch_id);
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_BATCH_OPEN, &batch, 1, &rows);
    for (size_t i = 0; e == OK && rows->count == 0 && i < b->n; i++) {
        if (entry_is_undecided(&b->entries[i]))
            b->entries[i].answer->verdict = RUN_BATCH_ENDED;
    }
    return e;
}

static enum err find_keys(struct db_tx *tx, struct accept_batch *b)
{
    struct idempotency_key *keys = talloc_zero_array(tx->ctx, struct idempotency_key, b->n);
    struct accept_entry *keyed[ACCEPT_BATCH_MAX];
    struct idempotency_match matches[ACCEPT_BATCH_MAX];
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        struct accept_entry *entry = &b->entries[i];
        if (!entry_is_undecided(entry) || !entry->req->idempotency_key.at)
            continue;
        keys[n] = (struct idempotency_key){entry->req->workspace_id, entry->req->idempotency_key,
                                           entry->req->fingerprint};
        keyed[n++] = entry;
    }
    enum err e = idempotency_find(tx, b->ctx, keys, n, matches);
    for (size_t i = 0; e == OK && i < n; i++) {
        if (matches[i].state == IDEMPOTENCY_FREE)
            continue;
        *keyed[i]->answer = (struct run_answer){
            .verdict = matches[i].state == IDEMPOTENCY_REPLAY ? RUN_REPLAYED : RUN_KEY_REUSED,
            .execution_id = matches[i].execution_id,
            .response = matches[i].response,
        };
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

/* Finds the child that this (parent, step, item, try) already has, if any. */
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
    }
    return e;
}

static bool is_undecided_child(const struct accept_entry *entry)
{
    return entry_is_undecided(entry) && !run_request_is_root(entry->req);
}

/* Reads the sizes of the trees that may get children, and whether they are being stopped in slices. Their
 * accounts are locked, so both stay. */
static enum err read_trees(struct db_tx *tx, struct accept_batch *b)
{
    struct db_value values[ACCEPT_BATCH_MAX];
    id roots[ACCEPT_BATCH_MAX];
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        if (is_undecided_child(&b->entries[i]))
            roots[n++] = b->entries[i].req->parent.root_id;
    }
    b->trees_n = id_sort_distinct(roots, n);
    b->trees = talloc_array(tx->ctx, struct accept_tree, b->trees_n);
    for (size_t i = 0; i < b->trees_n; i++) {
        values[i] = db_id(&roots[i]);
        b->trees[i] = (struct accept_tree){.root_id = roots[i], .size = -1, .is_marked = true};
    }
    struct db_rows *rows;
    enum err e = db_run_each(tx->db, tx->ctx, SQL_EXECUTION_TREE_READ, NULL, 0, values, 1, b->trees_n, &rows);
    for (size_t r = 0; e == OK && r < rows->count; r++) {
        for (size_t i = 0; i < b->trees_n; i++) {
            if (strcmp(db_str(rows, r, EXECUTION_TREE_READ_ROOT_ID), roots[i].text) != 0)
                continue;
            b->trees[i].size = db_int(rows, r, EXECUTION_TREE_READ_SIZE);
            b->trees[i].is_marked = db_int(rows, r, EXECUTION_TREE_READ_IS_MARKED) != 0;
        }
    }
    for (size_t i = 0; e == OK && i < b->trees_n; i++) {
        if (b->trees[i].size >= 0)
            continue;
        e = db_run(tx->db, tx->ctx, SQL_EXECUTION_TREE_SIZE, &values[i], 1, &rows);
        b->trees[i].size = e == OK ? db_int(rows, 0, EXECUTION_TREE_SIZE_N) : 0;
    }
    return e;
}

static struct accept_tree *find_tree(struct accept_batch *b, const id *root)
{
    for (size_t i = 0; i < b->trees_n; i++) {
        if (id_equal(&b->trees[i].root_id, root))
            return &b->trees[i];
    }
    return NULL;
}

/* Rejects children of runs that are being stopped in slices. */
static enum err check_stop_marks(struct db_tx *tx, struct accept_batch *b)
{
    id roots[ACCEPT_BATCH_MAX];
    struct stop_marks marks;
    size_t n = 0;
    for (size_t i = 0; i < b->trees_n; i++) {
        if (b->trees[i].is_marked)
            roots[n++] = b->trees[i].root_id;
    }
    if (n == 0)
        return OK;
    enum err e = stop_marks_read(tx->db, tx->ctx, roots, n, &marks);
    for (size_t i = 0; e == OK && i < b->n; i++) {
        struct accept_entry *entry = &b->entries[i];
        bool covered = false;
        if (entry_is_undecided(entry) && entry->tree && entry->tree->is_marked)
            e = stop_marks_cover(tx->db, tx->ctx, &marks, &entry->req->parent.root_id, &entry->req->parent.id,
                                 &covered);
        if (covered)
            entry->answer->verdict = RUN_PARENT_GONE;
    }
    return e;
}

static struct accept_parent *find_parent(struct accept_batch *b, const id *parent)
{
    for (size_t i = 0; i < b->parents_n; i++) {
        if (id_equal(&b->parents[i].id, parent))
            return &b->parents[i];
    }
    return NULL;
}

/* A parent that no longer exists has no entry in the list. */
static enum err read_parents(struct db_tx *tx, struct accept_batch *b)
{
    struct db_value values[ACCEPT_BATCH_MAX];
    id parents[ACCEPT_BATCH_MAX];
    size_t n = 0, unknown_n = 0;
    for (size_t i = 0; i < b->n; i++) {
        if (is_undecided_child(&b->entries[i]))
            parents[n++] = b->entries[i].req->parent.id;
    }
    n = id_sort_distinct(parents, n);
    b->parents = talloc_zero_array(b->publish_ctx, struct accept_parent, n + 1);
    for (size_t i = 0; i < n; i++) {
        const struct run *r = b->flushed ? run_tx_find(b->flushed, &parents[i]) : NULL;
        if (r)
            b->parents[b->parents_n++] = (struct accept_parent){
                .id = r->id, .state = r->state, .attempt = r->attempt, .last_seq = r->last_seq};
        else
            values[unknown_n++] = db_id(&parents[i]);
    }
    if (unknown_n == 0)
        return OK;
    struct db_rows *rows;
    enum err e =
        db_run_each(tx->db, tx->ctx, SQL_EXECUTION_PARENTS_LOCK, NULL, 0, values, 1, unknown_n, &rows);
    for (size_t r = 0; e == OK && r < rows->count; r++)
        b->parents[b->parents_n++] = (struct accept_parent){
            .id = db_get_id(rows, r, EXECUTION_PARENTS_LOCK_ID),
            .state = (enum run_state)db_int(rows, r, EXECUTION_PARENTS_LOCK_STATE),
            .attempt = (int)db_int(rows, r, EXECUTION_PARENTS_LOCK_ATTEMPT),
            .last_seq = (int)db_int(rows, r, EXECUTION_PARENTS_LOCK_LAST_SEQ),
            .knows_children = db_int(rows, r, EXECUTION_PARENTS_LOCK_HAS_CHILDREN) != 0,
        };
    return e;
}

static enum err check_parent(struct db_tx *tx, struct accept_batch *b, struct accept_entry *entry)
{
    const struct run_request *req = entry->req;
    const struct accept_parent *parent = entry->parent = find_parent(b, &req->parent.id);
    if (!parent || parent->state != STATE_RUNNING || parent->attempt != req->parent.attempt) {
        entry->answer->verdict = RUN_PARENT_GONE;
        return OK;
    }
    enum err e = req->parent.is_first && !tx->settling ? OK : find_child(tx, entry);
    if (e == OK && entry_is_undecided(entry) && req->parent.depth + 1 >= TREE_DEPTH_MAX)
        entry->answer->verdict = RUN_TREE_LIMIT;
    return e;
}

static enum err lock_parents(struct db_tx *tx, struct accept_batch *b)
{
    enum err e = read_parents(tx, b);
    for (size_t i = 0; e == OK && i < b->n; i++) {
        if (is_undecided_child(&b->entries[i]))
            e = check_parent(tx, b, &b->entries[i]);
    }
    if (e == OK)
        e = read_trees(tx, b);
    for (size_t i = 0; e == OK && i < b->n; i++)
        b->entries[i].tree = find_tree(b, &b->entries[i].req->parent.root_id);
    return e == OK ? check_stop_marks(tx, b) : e;
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
                db_int(rows, r, WORKFLOW_CURRENT_VERSIONS_VERSION) == entry->req->version &&
                db_int_or(rows, r, WORKFLOW_CURRENT_VERSIONS_PRICE, -1) == entry->req->price;
        if (!current)
            entry->answer->verdict = RUN_RESPONDER_CHANGED;
    }
    return e;
}

static bool any_undecided(const struct accept_batch *b)
{
    size_t i = 0;
    while (i < b->n && !entry_is_undecided(&b->entries[i]))
        i++;
    return i < b->n;
}

static void reset_batch(struct accept_batch *b)
{
    talloc_free_children(b->publish_ctx);
    b->budgets = NULL;
    b->parents = NULL;
    b->parents_n = 0;
    for (size_t i = 0; i < b->n; i++) {
        struct accept_entry *entry = &b->entries[i];
        *entry->answer = (struct run_answer){.execution_id = entry->req->execution_id,
                                             .response = entry->req->first_response};
        entry->committed = false;
        entry->unsettled = false;
        entry->account = NULL;
        entry->tree = NULL;
        entry->parent = NULL;
        entry->parent_seq = 0;
        entry->prices = NULL;
        memset(&entry->schedule, 0, sizeof entry->schedule);
    }
}

/* The transaction. It may be attempted more than once, so it begins by resetting what an earlier attempt
 * found. */
static enum err accept_work(struct db_tx *tx, void *arg)
{
    struct accept_batch *b = arg;
    reset_batch(b);
    b->settled = tx->settling;
    enum err e = lock_accounts(tx, b);
    if (e == OK && !any_undecided(b)) /* all accounts are locked elsewhere */
        return OK;
    if (e == OK && (tx->settling || is_batch(b)))
        e = find_committed(tx, b);
    if (e == OK && is_batch(b))
        e = check_batch(tx, b);
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
    if (e == OK)
        e = accept_read_occurrences(tx, b);
    if (e == OK)
        e = accept_read_prices(tx, b);
    if (e == OK)
        e = accept_open_grants(tx, b);
    if (e == OK)
        e = accept_read_budgets(tx, b);
    if (e == OK)
        e = accept_read_bulk_items(tx, b);
    if (e == OK) {
        accept_decide(b);
        e = accept_insert(tx, b);
    }
    if (e == OK)
        e = accept_write_occurrences(tx, b);
    if (e == OK)
        e = accept_write_budgets(tx, b);
    if (e == OK)
        e = accept_write_bulk_items(tx, b);
    if (e == OK)
        e = account_write(tx, b->accounts, b->accounts_n);
    failpoint("accept.before_commit");
    return e;
}

/* Removes the decided entries from the batch. */
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
    enum run_verdict verdict = err_is_transient(e)  ? RUN_UNAVAILABLE
                               : e == ERR_UNCERTAIN ? RUN_UNCERTAIN
                                                    : RUN_INTERNAL;
    for (size_t i = 0; i < b->n; i++)
        *b->entries[i].answer =
            (struct run_answer){.verdict = verdict, .execution_id = b->entries[i].req->execution_id};
}

/* How many runs the COMMIT of unknown outcome had accepted after all. */
static void log_settled(const struct accept_batch *b)
{
    size_t runs = 0, committed = 0;
    for (size_t i = 0; i < b->n; i++) {
        runs += !b->entries[i].unsettled;
        committed += b->entries[i].committed;
    }
    log_info("accept.settled", "runs=%zu committed=%zu", runs, committed);
}

void accept_end(struct accept_batch *b, struct redis *redis, enum err e)
{
    failpoint("accept.after_commit");
    if (e == OK && b->settled)
        log_settled(b);
    if (e != OK)
        fail_batch(b, e);
    else if (redis)
        accept_publish(redis, b);
    failpoint("accept.after_push");
    talloc_free(b->publish_ctx);
}

/* Runs the transaction and publishes its results. */
static enum err run_once(struct db *db, struct redis *redis, struct accept_batch *b, bool settle,
                         uint64_t old_connection)
{
    b->publish_ctx = talloc_new(b->ctx);
    enum err e = settle ? db_transaction_settle(db, old_connection, accept_work, b)
                        : db_transaction(db, accept_work, b);
    accept_end(b, redis, e);
    return e;
}

/* Removes the entries that are settled. */
static size_t keep_unsettled(struct accept_batch *b)
{
    size_t left = 0;
    for (size_t i = 0; i < b->n; i++) {
        if (b->entries[i].unsettled)
            b->entries[left++] = b->entries[i];
    }
    return b->n = left;
}

static void pause_ms(int ms)
{
    struct timespec pause = {.tv_nsec = ms * 1000000L};
    nanosleep(&pause, NULL);
}

/* Settles what an unknown COMMIT left: an account that is locked may be locked by the connection that was
 * killed, so its entries are looked at again until the account is free. The old connection is dead by then,
 * and a run that it accepted is found by its id. */
static enum err decide_batch(struct db *db, struct redis *redis, const struct accept_batch *all, bool settle,
                             uint64_t old_connection)
{
    struct accept_batch b = *all;
    b.entries = talloc_memdup(b.ctx, all->entries, sizeof *all->entries * all->n);
    int64_t until_ms = clock_boot_ms() + db_settle_ms(db);
    enum err e = run_once(db, redis, &b, settle, old_connection);
    if (e != OK)
        return e;
    while (keep_unsettled(&b) > 0) {
        if (clock_boot_ms() >= until_ms) {
            fail_batch(&b, ERR_UNCERTAIN);
            break;
        }
        pause_ms(SETTLE_PAUSE_MS);
        if (run_once(db, redis, &b, true, 0) != OK)
            break; /* run_once has answered the entries that are left */
    }
    return OK;
}

/* MariaDB rejects the rows of some run. Accepting the runs one by one keeps it from failing the others. */
static void decide_one_by_one(struct db *db, struct redis *redis, const struct accept_batch *b, bool settle)
{
    log_error("accept.batch_failed", "runs=%zu", b->n);
    for (size_t i = 0; i < b->n; i++) {
        struct accept_batch one = {.n = 1, .ctx = b->ctx, .entries = &b->entries[i]};
        if (decide_batch(db, redis, &one, settle, 0) != OK)
            log_error("accept.run_failed", "execution=%s", b->entries[i].req->execution_id.text);
    }
}

static struct accept_batch new_batch(void *ctx, const struct run_request *const *requests, size_t n,
                                     struct run_answer *answers)
{
    struct accept_batch b = {.n = n, .ctx = ctx, .entries = talloc_array(ctx, struct accept_entry, n)};
    for (size_t i = 0; i < n; i++) {
        answers[i] = (struct run_answer){.execution_id = requests[i]->execution_id};
        b.entries[i] = (struct accept_entry){.req = requests[i], .answer = &answers[i]};
    }
    return b;
}

struct accept_batch *accept_begin(void *ctx, const struct run_request *const *requests, size_t n,
                                  struct run_answer *answers)
{
    struct accept_batch *b = talloc(ctx, struct accept_batch);
    *b = new_batch(ctx, requests, n, answers);
    b->publish_ctx = talloc_new(ctx);
    return b;
}

enum err accept_write(struct db_tx *tx, struct accept_batch *b, struct run_tx *flushed)
{
    b->flushed = flushed;
    return accept_work(tx, b);
}

void accept_batch(struct db *db, struct redis *redis, void *ctx, const struct run_request *const *requests,
                  size_t n, uint64_t settle_connection, struct run_answer *answers)
{
    struct accept_batch b = new_batch(ctx, requests, n, answers);
    if (redis && settle_connection == 0) {
        accept_reject_insufficient_credits(db, redis, &b);
        remove_decided(&b);
    }
    failpoint("accept.after_script");
    bool settle = settle_connection != 0;
    if (b.n > 0 && decide_batch(db, redis, &b, settle, settle_connection) == ERR_INTERNAL && b.n > 1)
        decide_one_by_one(db, redis, &b, settle);
}

static bool any_is_busy(const struct run_answer *answers, size_t n)
{
    size_t i = 0;
    while (i < n && answers[i].verdict != RUN_ACCOUNT_BUSY)
        i++;
    return i < n;
}

/* What was decided is not tried again: a run without a key would be found a second time, as a duplicate. */
bool accept_some(struct db *db, struct redis *redis, void *ctx, const struct run_request *const *requests,
                 size_t n, bool again, struct run_answer *answers)
{
    const struct run_request *left[ACCEPT_BATCH_MAX] = {0};
    struct run_answer verdicts[ACCEPT_BATCH_MAX];
    size_t index[ACCEPT_BATCH_MAX], left_n = 0;
    for (size_t i = 0; i < n; i++) {
        if (again && answers[i].verdict != RUN_ACCOUNT_BUSY)
            continue;
        index[left_n] = i;
        left[left_n++] = requests[i];
    }
    accept_batch(db, redis, ctx, left, left_n, 0, verdicts);
    for (size_t k = 0; k < left_n; k++)
        answers[index[k]] = verdicts[k];
    return !any_is_busy(answers, n);
}

void accept_give_up(struct run_answer *answers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (answers[i].verdict == RUN_ACCOUNT_BUSY)
            answers[i].verdict = RUN_UNAVAILABLE;
    }
}

void accept_many(struct db *db, struct redis *redis, void *ctx, const struct run_request *const *requests,
                 size_t n, struct run_answer *answers)
{
    int64_t until_ms = clock_boot_ms() + ACCOUNT_BUSY_TIMEOUT_MS;
    for (unsigned tries = 0; !accept_some(db, redis, ctx, requests, n, tries > 0, answers); tries++) {
        if (clock_boot_ms() >= until_ms)
            break;
        pause_ms(account_busy_pause_ms(tries));
    }
    accept_give_up(answers, n);
}
