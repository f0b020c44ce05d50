#include "run/run_tx.h"

#include <string.h>
#include <talloc.h>

#include "account/grants.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "outbox/outbox.h"
#include "redis/keys.h"
#include "run/charge.h"
#include "run/error_hash.h"
#include "run/event_json.h"
#include "run/run_counts.h"
#include "run/stop_marks.h"
#include "run/waits.h"
#include "spending/budget.h"
#include "json/json.h"

struct run_tx_event {
    struct run *run;
    int seq;
    enum event_type type;
    int64_t at_ms;
    const char *data; /* NULL: {} */
};

struct run_tx_step {
    struct run *run;
    struct run_step row;
};

struct run_tx_park {
    const struct run *run;
    enum wait_reason reason;
    int64_t wake_ms;
    /* what it waits for is there, or a child has ended in the same transaction */
    bool due;
    /* 0: NULL */
    int64_t until_ms;
};

struct run_tx_start {
    const struct run *run;
    int64_t start_ms;
};

struct run_tx_mark {
    const struct run *run;
    int64_t at_ms;
    const char *error;
};

struct run_tx {
    struct db_tx *tx;
    struct run **runs; /* ascending by id */
    size_t runs_n;
    struct account *accounts;
    size_t accounts_n;
    struct run_tx_event *events;
    size_t events_n;
    struct run_tx_step *steps;
    size_t steps_n;
    struct ledger_entry *refunds;
    size_t refunds_n;
    /* Runs that end, for whose use something was held. */
    struct run **charged;
    size_t charged_n;
    /* Runs whose time counts from now on, or no longer. */
    id *clocks[CHARGE_CLOCKS];
    size_t clocks_n[CHARGE_CLOCKS];
    const struct run **ended_roots;
    size_t ended_roots_n;
    const struct run **failed;
    size_t failed_n;
    id *missing_accounts;
    size_t missing_accounts_n;
    /* Rows of `waits`: runs that are parked; runs that were, and are woken or have ended; parents of ended
     * runs. */
    struct run_tx_park *parks;
    size_t parks_n;
    id *unparked;
    size_t unparked_n;
    /* Runs that wait for their start no longer. */
    const struct run **undelayed;
    size_t undelayed_n;
    struct run_tx_start *starts;
    size_t starts_n;
    id *parents;
    size_t parents_n;
    struct run_tx_mark *marks;
    size_t marks_n;
    struct outbox_entry *messages;
    size_t messages_n;
};

/* Rows of `waits` that are read for each run that is to be woken. */
enum { DUE_CANDIDATES = 4 };

struct run_tx *run_tx_begin(struct db_tx *tx, void *holder)
{
    struct run_tx *run_tx = talloc_zero(holder, struct run_tx);
    run_tx->tx = tx;
    return run_tx;
}

/* --- locking --- */

/* A row of states_lock, states_lock_queued or states_lock_queued_ids. */
static struct run *run_from_row(void *ctx, const struct db_rows *rows, size_t r)
{
    struct run *run = talloc_zero(ctx, struct run);
    run->id = db_get_id(rows, r, STATES_LOCK_ID);
    run->workspace_id = db_get_id(rows, r, STATES_LOCK_WORKSPACE_ID);
    run->responder_id = db_get_id(rows, r, STATES_LOCK_RESPONDER_ID);
    run->root_id = db_get_id(rows, r, STATES_LOCK_ROOT_ID);
    run->parent_id = db_get_id(rows, r, STATES_LOCK_PARENT_ID);
    run->key_id = db_get_id(rows, r, STATES_LOCK_KEY_ID);
    run->kind = (enum responder_kind)db_int(rows, r, STATES_LOCK_KIND);
    run->version = (int)db_int(rows, r, STATES_LOCK_VERSION);
    run->depth = (int)db_int(rows, r, STATES_LOCK_DEPTH);
    run->state = (enum run_state)db_int(rows, r, STATES_LOCK_STATE);
    run->reason = (enum failure_reason)db_int(rows, r, STATES_LOCK_FAILURE_REASON);
    run->side_effects_started = db_int(rows, r, STATES_LOCK_EFFECTS) != 0;
    run->attempt = (int)db_int(rows, r, STATES_LOCK_ATTEMPT);
    run->lost_count = (int)db_int(rows, r, STATES_LOCK_LOSSES);
    run->last_seq = (int)db_int(rows, r, STATES_LOCK_LAST_SEQ);
    run->executor_id = (uint64_t)db_int(rows, r, STATES_LOCK_EXECUTOR_ID);
    run->cost = db_int(rows, r, STATES_LOCK_COST);
    run->refunded = db_int(rows, r, STATES_LOCK_REFUNDED);
    run->started_ms = db_int(rows, r, STATES_LOCK_STARTED_MS);
    run->ended_ms = db_int(rows, r, STATES_LOCK_ENDED_MS);
    run->deadline_ms = db_int(rows, r, STATES_LOCK_DEADLINE_MS);
    run->moved_ms = db_int(rows, r, STATES_LOCK_UPDATED_MS);
    run->webhook_events = (uint32_t)db_int(rows, r, STATES_LOCK_WEBHOOK_EVENTS);
    run->held = db_int(rows, r, STATES_LOCK_HELD);
    run->parked = run->state == STATE_RUNNING && run->executor_id == 0;
    run->delayed = run->state == STATE_QUEUED && run->executor_id == RUN_DELAYED_EXECUTOR;
    return run;
}

static void add_locked_runs(struct run_tx *run_tx, const struct db_rows *rows)
{
    run_tx->runs = talloc_realloc(run_tx, run_tx->runs, struct run *, run_tx->runs_n + rows->count + 1);
    for (size_t r = 0; r < rows->count; r++)
        run_tx->runs[run_tx->runs_n++] = run_from_row(run_tx, rows, r);
}

/* Without those that this transaction had locked before. */
static void add_new_runs(struct run_tx *run_tx, const struct db_rows *rows)
{
    run_tx->runs = talloc_realloc(run_tx, run_tx->runs, struct run *, run_tx->runs_n + rows->count + 1);
    for (size_t r = 0; r < rows->count; r++) {
        id run = db_get_id(rows, r, STATES_LOCK_ID);
        if (!run_tx_find(run_tx, &run))
            run_tx->runs[run_tx->runs_n++] = run_from_row(run_tx, rows, r);
    }
}

static enum err lock_runs(struct run_tx *run_tx, const id *runs, size_t n)
{
    id *sorted = talloc_array(run_tx->tx->ctx, id, n + 1);
    struct db_value *values = talloc_array(run_tx->tx->ctx, struct db_value, n + 1);
    memcpy(sorted, runs, sizeof *sorted * n);
    size_t distinct = id_sort_distinct(sorted, n);
    for (size_t i = 0; i < distinct; i++)
        values[i] = db_id(&sorted[i]);
    struct db_rows *rows;
    enum err e =
        db_run_each(run_tx->tx->db, run_tx->tx->ctx, SQL_STATES_LOCK, NULL, 0, values, 1, distinct, &rows);
    if (e == OK)
        add_locked_runs(run_tx, rows);
    return e;
}

enum err run_tx_lock(struct run_tx *run_tx, const id *runs, size_t runs_n, const id *accounts,
                     size_t accounts_n)
{
    enum err e = OK;
    if (accounts_n > 0)
        e = account_lock_free(run_tx->tx, run_tx, accounts, accounts_n, &run_tx->accounts,
                              &run_tx->accounts_n);
    for (size_t i = 0; e == OK && i < accounts_n; i++) {
        if (!run_tx_has_account(run_tx, &accounts[i]))
            e = ERR_RETRY;
    }
    return e == OK ? lock_runs(run_tx, runs, runs_n) : e;
}

bool run_tx_has_account(const struct run_tx *run_tx, const id *workspace)
{
    return account_find(run_tx->accounts, run_tx->accounts_n, workspace) != NULL;
}

const struct account *run_tx_account(const struct run_tx *run_tx, const id *workspace)
{
    return account_find(run_tx->accounts, run_tx->accounts_n, workspace);
}

/* True if row r of execution_tree (ascending by id) is a child of `top` or of a run already marked as below
 * it.
 */
static bool is_below(const struct db_rows *rows, size_t r, const char *top, const bool *below)
{
    const char *parent = db_str(rows, r, EXECUTION_TREE_PARENT_ID);
    if (strcmp(parent, top) == 0)
        return true;
    size_t low = 0;
    size_t high = rows->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int c = strcmp(db_str(rows, middle, EXECUTION_TREE_CHILD_ID), parent);
        if (c == 0)
            return below[middle];
        if (c < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* Marks the descendants of `top`. One pass suffices, because parents come before their children, unless the
 * clock was set back in between; so passes are repeated until one marks nothing. */
static bool *find_below(void *ctx, const struct db_rows *rows, const char *top)
{
    bool *below = talloc_zero_array(ctx, bool, rows->count + 1);
    bool found;
    do {
        found = false;
        for (size_t r = 0; r < rows->count; r++) {
            if (!below[r] && is_below(rows, r, top, below))
                below[r] = found = true;
        }
    } while (found);
    return below;
}

/* Locks the account, and lists the descendants of `top` that are not terminal, ascending. */
static enum err find_open_below(struct run_tx *run_tx, const id *workspace, const id *top, id **ids_r,
                                size_t *n_r)
{
    struct db_rows *rows;
    struct db_value args[] = {db_id(top), db_id(workspace)};
    enum err e = account_lock_free(run_tx->tx, run_tx, workspace, 1, &run_tx->accounts, &run_tx->accounts_n);
    if (e == OK && run_tx->accounts_n == 0)
        e = ERR_RETRY;
    if (e == OK)
        e = db_run(run_tx->tx->db, run_tx->tx->ctx, SQL_EXECUTION_GET_ROOT, args, 2, &rows);
    if (e != OK)
        return e;
    if (rows->count == 0)
        return ERR_NOT_FOUND;
    struct db_value root = db_bytes(db_str(rows, 0, EXECUTION_GET_ROOT_ROOT_ID), ID_LENGTH);
    e = db_run(run_tx->tx->db, run_tx->tx->ctx, SQL_EXECUTION_TREE, &root, 1, &rows);
    if (e != OK)
        return e;
    const bool *below = find_below(run_tx->tx->ctx, rows, top->text);
    *ids_r = talloc_array(run_tx->tx->ctx, id, rows->count + 1);
    *n_r = 0;
    for (size_t r = 0; r < rows->count; r++) {
        if (below[r] && !state_is_terminal((enum run_state)db_int(rows, r, EXECUTION_TREE_STATE)))
            (*ids_r)[(*n_r)++] = db_get_id(rows, r, EXECUTION_TREE_CHILD_ID);
    }
    return OK;
}

enum err run_tx_lock_tree(struct run_tx *run_tx, const id *workspace, const id *top, const id *above,
                          size_t above_n, bool *all_r)
{
    id *ids;
    size_t n;
    enum err e = find_open_below(run_tx, workspace, top, &ids, &n);
    if (e != OK)
        return e;
    *all_r = n <= RUN_TX_SLICE;
    n = *all_r ? n : 0;
    ids = talloc_realloc(run_tx->tx->ctx, ids, id, n + 1 + above_n);
    ids[n++] = *top;
    for (size_t i = 0; i < above_n; i++)
        ids[n++] = above[i];
    return lock_runs(run_tx, ids, n);
}

enum err run_tx_lock_slice(struct run_tx *run_tx, const id *workspace, const id *top, bool *all_r)
{
    id *ids;
    size_t n;
    enum err e = find_open_below(run_tx, workspace, top, &ids, &n);
    if (e != OK)
        return e;
    *all_r = n <= RUN_TX_SLICE;
    return lock_runs(run_tx, ids, *all_r ? n : RUN_TX_SLICE);
}

enum err run_tx_drop_marked(struct run_tx *run_tx, size_t first)
{
    void *ctx = run_tx->tx->ctx;
    id *roots = talloc_array(ctx, id, run_tx->runs_n + 1);
    struct stop_marks marks;
    size_t n = 0;
    for (size_t i = first; i < run_tx->runs_n; i++) {
        if (id_is_set(&run_tx->runs[i]->parent_id))
            roots[n++] = run_tx->runs[i]->root_id;
    }
    n = id_sort_distinct(roots, n);
    enum err e = stop_marks_read(run_tx->tx->db, ctx, roots, n, &marks);
    size_t kept = first;
    for (size_t i = first; e == OK && i < run_tx->runs_n; i++) {
        struct run *r = run_tx->runs[i];
        bool covered;
        e = stop_marks_cover(run_tx->tx->db, ctx, &marks, &r->root_id, &r->id, &covered);
        if (!covered)
            run_tx->runs[kept++] = r;
    }
    if (e == OK)
        run_tx->runs_n = kept;
    return e;
}

static struct db_value *id_values(struct run_tx *run_tx, const id *ids, size_t n)
{
    struct db_value *values = talloc_array(run_tx->tx->ctx, struct db_value, n + 1);
    for (size_t i = 0; i < n; i++)
        values[i] = db_id(&ids[i]);
    return values;
}

enum err run_tx_lock_queued_ids(struct run_tx *run_tx, const id *queued_ids, size_t n)
{
    struct db_value state = db_number(STATE_QUEUED);
    struct db_rows *rows;
    enum err e = db_run_each(run_tx->tx->db, run_tx->tx->ctx, SQL_STATES_LOCK_QUEUED_IDS, &state, 1,
                             id_values(run_tx, queued_ids, n), 1, n, &rows);
    if (e == OK)
        add_new_runs(run_tx, rows);
    return e;
}

/* The smallest value of the type UUID stands for "before the first". */
static struct db_value after_value(const id *after)
{
    return id_is_set(after) ? db_id(after) : db_text("00000000-0000-0000-0000-000000000000");
}

enum err run_tx_lock_queued(struct run_tx *run_tx, const id *workspace, size_t limit, id *after,
                            size_t *seen_r)
{
    struct db_value args[] = {db_number(STATE_QUEUED), db_id(workspace), after_value(after),
                              db_number((int64_t)limit)};
    struct db_rows *rows;
    enum err e = db_run(run_tx->tx->db, run_tx->tx->ctx, SQL_STATES_LOCK_QUEUED, args, 4, &rows);
    *seen_r = e == OK ? rows->count : 0;
    if (*seen_r == 0)
        return e;
    *after = db_get_id(rows, rows->count - 1, STATES_LOCK_ID);
    add_new_runs(run_tx, rows);
    return OK;
}

/* *first_r: column 0 of the first row. */
static enum err read_first_id(struct run_tx *run_tx, enum sql_id query, const struct db_value *args,
                              size_t args_n, id *first_r)
{
    struct db_rows *rows;
    enum err e = db_run(run_tx->tx->db, run_tx->tx->ctx, query, args, args_n, &rows);
    if (e == OK && rows->count == 0)
        return ERR_NOT_FOUND;
    if (e == OK)
        *first_r = db_get_id(rows, 0, 0);
    return e;
}

enum err run_tx_next_queued(struct run_tx *run_tx, const id *after, id *workspace_r)
{
    struct db_value args[] = {db_number(STATE_QUEUED), after_value(after)};
    return read_first_id(run_tx, SQL_STATES_NEXT_QUEUED, args, 2, workspace_r);
}

enum err run_tx_next_due(struct run_tx *run_tx, const id *after, id *workspace_r)
{
    struct db_value args[] = {after_value(after)};
    return read_first_id(run_tx, SQL_WAITS_NEXT_DUE, args, 1, workspace_r);
}

/* Locks those of the `n` runs that are parked and that no other transaction has locked. */
static enum err lock_parked(struct run_tx *run_tx, const struct db_value *runs, size_t n)
{
    struct db_value state = db_number(STATE_RUNNING);
    struct db_rows *rows;
    enum err e = db_run_each(run_tx->tx->db, run_tx->tx->ctx, SQL_STATES_LOCK_PARKED_IDS, &state, 1, runs, 1,
                             n, &rows);
    if (e == OK)
        add_new_runs(run_tx, rows);
    return e;
}

enum err run_tx_read_until(struct run_tx *run_tx, size_t first)
{
    struct db_value *runs = talloc_array(run_tx->tx->ctx, struct db_value, run_tx->runs_n - first + 1);
    struct db_rows *rows;
    for (size_t i = first; i < run_tx->runs_n; i++)
        runs[i - first] = db_id(&run_tx->runs[i]->id);
    enum err e = db_run_each(run_tx->tx->db, run_tx->tx->ctx, SQL_WAITS_UNTIL, NULL, 0, runs, 1,
                             run_tx->runs_n - first, &rows);
    for (size_t r = 0; e == OK && r < rows->count; r++) {
        id run = db_get_id(rows, r, WAITS_UNTIL_EXECUTION_ID);
        run_tx_find(run_tx, &run)->park_until_ms = db_int(rows, r, WAITS_UNTIL_UNTIL_MS);
    }
    return e;
}

enum err run_tx_lock_due(struct run_tx *run_tx, const id *workspace, size_t limit, size_t *offset,
                         bool *more_r)
{
    size_t before = run_tx->runs_n;
    /* other executors may be waking the first of them */
    size_t wanted = limit * DUE_CANDIDATES;
    struct db_value args[] = {db_id(workspace), db_number((int64_t)wanted), db_number((int64_t)*offset)};
    struct db_rows *rows;
    enum err e = db_run(run_tx->tx->db, run_tx->tx->ctx, SQL_WAITS_DUE, args, 3, &rows);
    if (e != OK)
        return e;
    struct db_value *runs = talloc_array(run_tx->tx->ctx, struct db_value, limit + 1);
    size_t at = 0;
    while (e == OK && at < rows->count && run_tx->runs_n - before < limit) {
        size_t n = limit - (run_tx->runs_n - before);
        if (n > rows->count - at)
            n = rows->count - at;
        for (size_t i = 0; i < n; i++)
            runs[i] = db_bytes(db_str(rows, at + i, WAITS_DUE_EXECUTION_ID), ID_LENGTH);
        e = lock_parked(run_tx, runs, n);
        at += n;
    }
    if (e == OK && run_tx->runs_n > before)
        e = run_tx_read_until(run_tx, before);
    *offset += at;
    *more_r = at < rows->count || rows->count == wanted;
    return e;
}

enum err run_tx_postpone(struct run_tx *run_tx, id *runs, size_t n)
{
    n = id_sort_distinct(runs, n);
    return db_run_each(run_tx->tx->db, run_tx->tx->ctx, SQL_WAITS_POSTPONE, NULL, 0,
                       id_values(run_tx, runs, n), 1, n, NULL);
}

size_t run_tx_count(const struct run_tx *run_tx)
{
    return run_tx->runs_n;
}

struct run *run_tx_at(struct run_tx *run_tx, size_t i)
{
    return run_tx->runs[i];
}

struct run *run_tx_find(struct run_tx *run_tx, const id *run)
{
    for (size_t i = 0; i < run_tx->runs_n; i++) {
        if (id_equal(&run_tx->runs[i]->id, run))
            return run_tx->runs[i];
    }
    return NULL;
}

bool run_is_ours(const struct run *r, uint64_t executor_id, int attempt)
{
    return r->state == STATE_RUNNING && r->executor_id == executor_id && r->attempt == attempt;
}

bool run_is_claimable(const struct run *r, int attempt)
{
    return r->parked ? r->attempt == attempt - 1
                     : r->state == STATE_QUEUED && !r->delayed && r->attempt == attempt;
}

/* --- changes, in memory --- */

static const char *copy_text(struct run_tx *run_tx, const char *text)
{
    return text ? talloc_strdup(run_tx, text) : NULL;
}

void run_event(struct run_tx *run_tx, struct run *r, enum event_type type, int64_t at_ms, const char *data)
{
    run_tx->events = talloc_realloc(run_tx, run_tx->events, struct run_tx_event, run_tx->events_n + 1);
    run_tx->events[run_tx->events_n++] =
        (struct run_tx_event){r, ++r->last_seq, type, at_ms, copy_text(run_tx, data)};
    r->changed = true;
}

void run_step(struct run_tx *run_tx, struct run *r, const struct run_step *s)
{
    run_tx->steps = talloc_realloc(run_tx, run_tx->steps, struct run_tx_step, run_tx->steps_n + 1);
    struct run_tx_step *copy = &run_tx->steps[run_tx->steps_n++];
    *copy = (struct run_tx_step){r, *s};
    copy->row.result = copy_text(run_tx, s->result);
    copy->row.error = copy_text(run_tx, s->error);
    r->changed = true;
}

static void add_return(struct run_tx *run_tx, struct run *r, enum ledger_kind kind, int64_t amount)
{
    run_tx->refunds = talloc_realloc(run_tx, run_tx->refunds, struct ledger_entry, run_tx->refunds_n + 1);
    run_tx->refunds[run_tx->refunds_n++] = (struct ledger_entry){
        .workspace_id = r->workspace_id,
        .id = id_new(),
        .kind = kind,
        .amount = amount,
        .execution_id = r->id,
        .responder_id = r->responder_id,
        .key_id = r->key_id,
    };
    r->refunded = amount;
}

/* The data of a move's event. */
static const char *move_event_data(void *ctx, const struct run *r, const struct run_move *m)
{
    json_object *data = json_own(ctx, json_object_new_object());
    if (m->move == MOVE_CLAIM || m->move == MOVE_REQUEUE_LOST || m->move == MOVE_RELEASE)
        json_object_object_add(data, "attempt", json_object_new_int(r->attempt));
    if (m->move == MOVE_REQUEUE_LOST)
        json_object_object_add(data, "reason", json_object_new_string(reason_name(REASON_EXECUTOR_LOST)));
    if (m->move == MOVE_FAIL || m->move == MOVE_EXPIRE) {
        json_object_object_add(data, "failure_reason", json_object_new_string(reason_name(r->reason)));
        json_object_object_add(data, "error", m->error ? json_object_new_string(m->error) : NULL);
    }
    return json_text(data, NULL);
}

static id *add_id(struct run_tx *run_tx, id *ids, size_t *n, const id *one)
{
    if (*n == talloc_array_length(ids))
        ids = talloc_realloc(run_tx, ids, id, 2 * *n + 8);
    ids[(*n)++] = *one;
    return ids;
}

static void unpark_run(struct run_tx *run_tx, struct run *r)
{
    run_tx->unparked = add_id(run_tx, run_tx->unparked, &run_tx->unparked_n, &r->id);
    r->parked = false;
}

/* The account follows when everything is written (settle_delayed). */
static void undelay_run(struct run_tx *run_tx, struct run *r)
{
    run_tx->undelayed =
        talloc_realloc(run_tx, run_tx->undelayed, const struct run *, run_tx->undelayed_n + 1);
    run_tx->undelayed[run_tx->undelayed_n++] = r;
    run_tx->unparked = add_id(run_tx, run_tx->unparked, &run_tx->unparked_n, &r->id);
    r->delayed = false;
}

static bool was_delayed(const struct run_tx *run_tx, const struct run *r)
{
    size_t i = 0;
    while (i < run_tx->undelayed_n && run_tx->undelayed[i] != r)
        i++;
    return i < run_tx->undelayed_n;
}

static enum failure_reason end_reason(const struct run_move *m)
{
    switch (m->move) {
    case MOVE_FAIL:
        return m->reason;
    case MOVE_STOP:
        return REASON_STOPPED;
    case MOVE_EXPIRE:
        return REASON_EXPIRED;
    default:
        return REASON_NONE;
    }
}

/* A message for webhooks, if somebody wants it (outbox_write). */
static void add_message(struct run_tx *run_tx, const struct run *r, enum webhook_event event, int64_t at_ms)
{
    run_tx->messages = talloc_realloc(run_tx, run_tx->messages, struct outbox_entry, run_tx->messages_n + 1);
    run_tx->messages[run_tx->messages_n++] = (struct outbox_entry){.workspace_id = r->workspace_id,
                                                                   .execution_id = r->id,
                                                                   .event = event,
                                                                   .at_ms = at_ms,
                                                                   .own_events = r->webhook_events};
}

static void park_run(struct run_tx *run_tx, struct run *r, const struct run_move *m)
{
    /* the time until a signal does not count against the deadline */
    int64_t until_ms = m->wait_reason == WAIT_SIGNAL ? m->wake_ms : 0;
    if (until_ms > m->at_ms && r->deadline_ms > 0)
        r->deadline_ms += until_ms - m->at_ms;
    int64_t wake_ms = r->deadline_ms > 0 && r->deadline_ms < m->wake_ms ? r->deadline_ms : m->wake_ms;
    run_tx->parks = talloc_realloc(run_tx, run_tx->parks, struct run_tx_park, run_tx->parks_n + 1);
    run_tx->parks[run_tx->parks_n++] = (struct run_tx_park){r, m->wait_reason, wake_ms, m->is_due, until_ms};
    r->parked = true;
    if (m->wait_reason == WAIT_SIGNAL && !m->is_due)
        add_message(run_tx, r, WEBHOOK_WAITING, m->at_ms);
}

/* What it costs is counted when everything that the commit adds to it is written (settle_charges). */
static void charge_use(struct run_tx *run_tx, struct run *r)
{
    run_tx->charged = talloc_realloc(run_tx, run_tx->charged, struct run *, run_tx->charged_n + 1);
    run_tx->charged[run_tx->charged_n++] = r;
}

static void set_clock(struct run_tx *run_tx, const struct run *r, enum transition move)
{
    enum charge_clock clock = move == MOVE_CLAIM || move == MOVE_WAKE     ? CHARGE_BEGIN
                              : move == MOVE_PARK || move == MOVE_RELEASE ? CHARGE_PAUSE
                              : move == MOVE_REQUEUE_LOST                 ? CHARGE_LOSE
                                                                          : CHARGE_CLOCKS;
    if (r->held > 0 && clock != CHARGE_CLOCKS)
        run_tx->clocks[clock] = add_id(run_tx, run_tx->clocks[clock], &run_tx->clocks_n[clock], &r->id);
}

static void finish_run(struct run_tx *run_tx, struct run *r, const struct run_move *m)
{
    add_message(run_tx, r,
                r->state == STATE_SUCCEEDED ? WEBHOOK_SUCCEEDED
                : r->state == STATE_FAILED  ? WEBHOOK_FAILED
                                            : WEBHOOK_STOPPED,
                m->at_ms);
    r->ended_ms = m->at_ms;
    r->reason = end_reason(m);
    r->output = copy_text(run_tx, m->output);
    r->error = copy_text(run_tx, m->error);
    r->failed_step = m->move == MOVE_FAIL ? copy_text(run_tx, m->step) : NULL;
    if (r->state == STATE_FAILED) {
        run_tx->failed = talloc_realloc(run_tx, run_tx->failed, const struct run *, run_tx->failed_n + 1);
        run_tx->failed[run_tx->failed_n++] = r;
    }
    if (id_is_set(&r->parent_id))
        run_tx->parents = add_id(run_tx, run_tx->parents, &run_tx->parents_n, &r->parent_id);
    if (r->state != STATE_SUCCEEDED && !r->side_effects_started && r->refunded == 0 && r->cost > 0)
        add_return(run_tx, r, LEDGER_REFUND, r->cost);
    else if (r->held > 0)
        charge_use(run_tx, r);
    if (!id_is_set(&r->parent_id) && !was_delayed(run_tx, r)) {
        run_tx->ended_roots =
            talloc_realloc(run_tx, run_tx->ended_roots, const struct run *, run_tx->ended_roots_n + 1);
        run_tx->ended_roots[run_tx->ended_roots_n++] = r;
    }
}

void run_tx_mark_stop(struct run_tx *run_tx, const struct run *top, int64_t at_ms, const char *error)
{
    run_tx->marks = talloc_realloc(run_tx, run_tx->marks, struct run_tx_mark, run_tx->marks_n + 1);
    run_tx->marks[run_tx->marks_n++] = (struct run_tx_mark){top, at_ms, copy_text(run_tx, error)};
}

/* What the table of states does not tell. */
static bool fits_move(const struct run *r, enum transition move)
{
    switch (move) {
    case MOVE_PARK:
        return !r->parked;
    case MOVE_WAKE:
        return r->parked;
    case MOVE_CLAIM:
        return !r->delayed;
    case MOVE_BEGIN:
        return r->delayed;
    case MOVE_EXPIRE:
        return r->started_ms == 0;
    default:
        return true;
    }
}

/* Until its first claim, the deadline of a root is its expiry. */
static void set_claim_times(struct run_tx *run_tx, struct run *r, const struct run_move *m)
{
    if (r->started_ms == 0)
        add_message(run_tx, r, WEBHOOK_STARTED, m->at_ms);
    if (r->started_ms == 0 && !id_is_set(&r->parent_id))
        r->deadline_ms = 0;
    if (r->started_ms == 0)
        r->started_ms = m->at_ms;
    if (r->deadline_ms == 0 || (m->deadline_ms > 0 && m->deadline_ms < r->deadline_ms))
        r->deadline_ms = m->deadline_ms;
}

enum err run_move(struct run_tx *run_tx, struct run *r, const struct run_move *m)
{
    enum run_state to;
    if (!state_may(r->state, m->move, &to) || !fits_move(r, m->move))
        return ERR_CONFLICT;
    r->state = to;
    r->changed = true;
    r->executor_id = m->move == MOVE_CLAIM || m->move == MOVE_WAKE ? m->executor_id : 0;
    if (m->move == MOVE_PARK)
        park_run(run_tx, r, m);
    else if (r->parked)
        unpark_run(run_tx, r);
    if (r->delayed)
        undelay_run(run_tx, r);
    if (m->move == MOVE_CLAIM)
        set_claim_times(run_tx, r, m);
    if (m->move == MOVE_WAKE && r->park_until_ms > m->at_ms) {
        r->give_back_ms = r->park_until_ms - m->at_ms;
        r->deadline_ms -= r->give_back_ms;
    }
    if (m->move == MOVE_REQUEUE_LOST || m->move == MOVE_RELEASE || m->move == MOVE_WAKE)
        r->attempt++;
    if (m->move == MOVE_REQUEUE_LOST)
        r->lost_count++;
    set_clock(run_tx, r, m->move);
    if (state_is_terminal(to))
        finish_run(run_tx, r, m);
    if (state_event(m->move))
        run_event(run_tx, r, state_event(m->move), m->at_ms, move_event_data(run_tx->tx->ctx, r, m));
    return OK;
}

void run_move_start(struct run_tx *run_tx, struct run *r, int64_t start_ms, int64_t at_ms)
{
    json_object *data = json_own(run_tx->tx->ctx, json_object_new_object());
    char text[CLOCK_TEXT_SIZE];
    json_object_object_add(data, "start_at", json_object_new_string(clock_text_offset(start_ms, text)));
    run_tx->starts = talloc_realloc(run_tx, run_tx->starts, struct run_tx_start, run_tx->starts_n + 1);
    run_tx->starts[run_tx->starts_n++] = (struct run_tx_start){r, start_ms};
    run_event(run_tx, r, EVENT_MOVED, at_ms, json_text(data, NULL));
}

/* --- writing --- */

static void add_missing_account(struct run_tx *run_tx, const id *workspace)
{
    run_tx->missing_accounts =
        talloc_realloc(run_tx, run_tx->missing_accounts, id, run_tx->missing_accounts_n + 1);
    run_tx->missing_accounts[run_tx->missing_accounts_n++] = *workspace;
}

/* A root that ends decrements `active` if max_concurrent is set. Whether it is set is read after the run's
 * row was locked, here or by the holder (`unlimited`). Setting max_concurrent counts active runs under the
 * account lock with shared row locks, so either that count sees this run's end, or we see the new limit. */
static enum err settle_concurrency(struct run_tx *run_tx)
{
    struct db_value *values = talloc_array(run_tx->tx->ctx, struct db_value, run_tx->ended_roots_n + 1);
    size_t n = 0;
    for (size_t i = 0; i < run_tx->ended_roots_n; i++) {
        const struct run *r = run_tx->ended_roots[i];
        struct account *a = account_find(run_tx->accounts, run_tx->accounts_n, &r->workspace_id);
        if (!a && !r->unlimited) {
            values[n++] = db_id(&r->workspace_id);
        } else if (a && a->max_concurrent > 0) {
            a->active--;
            a->changed = true;
        }
    }
    struct db_rows *rows;
    enum err e =
        db_run_each(run_tx->tx->db, run_tx->tx->ctx, SQL_ACCOUNT_LIMITED, NULL, 0, values, 1, n, &rows);
    for (size_t r = 0; e == OK && r < rows->count; r++) {
        id workspace = db_get_id(rows, r, ACCOUNT_LIMITED_WORKSPACE_ID);
        add_missing_account(run_tx, &workspace);
    }
    return e;
}

/* A run that no longer waits for its start counts as active from now on, unless it has ended. */
static void settle_delayed(struct run_tx *run_tx)
{
    for (size_t i = 0; i < run_tx->undelayed_n; i++) {
        const struct run *r = run_tx->undelayed[i];
        struct account *a = account_find(run_tx->accounts, run_tx->accounts_n, &r->workspace_id);
        if (!a) {
            add_missing_account(run_tx, &r->workspace_id);
            continue;
        }
        a->delayed--;
        a->active += a->max_concurrent > 0 && !state_is_terminal(r->state);
        a->changed = true;
    }
}

static void find_refunded_accounts(struct run_tx *run_tx)
{
    for (size_t i = 0; i < run_tx->refunds_n; i++) {
        if (!run_tx_has_account(run_tx, &run_tx->refunds[i].workspace_id))
            add_missing_account(run_tx, &run_tx->refunds[i].workspace_id);
    }
    for (size_t i = 0; i < run_tx->charged_n; i++) {
        if (!run_tx_has_account(run_tx, &run_tx->charged[i]->workspace_id))
            add_missing_account(run_tx, &run_tx->charged[i]->workspace_id);
    }
}

static enum err settle_charges(struct run_tx *run_tx)
{
    size_t n = run_tx->charged_n;
    struct charge_end *ends = talloc_zero_array(run_tx->tx->ctx, struct charge_end, n + 1);
    for (size_t i = 0; i < n; i++) {
        const struct run *r = run_tx->charged[i];
        ends[i] = (struct charge_end){.run = r->id,
                                      .output_bytes = r->output ? (int64_t)strlen(r->output) : 0,
                                      .lost = r->reason == REASON_EXECUTOR_LOST};
    }
    enum err e = OK;
    for (int c = 0; e == OK && c < CHARGE_CLOCKS; c++)
        e = charges_set_clock(run_tx->tx, (enum charge_clock)c, run_tx->clocks[c], run_tx->clocks_n[c]);
    if (e == OK && n > 0)
        e = charges_settle(run_tx->tx, ends, n);
    for (size_t i = 0; e == OK && i < n; i++) {
        if (ends[i].released > 0)
            add_return(run_tx, run_tx->charged[i], LEDGER_RELEASE, ends[i].released);
    }
    return e;
}

static struct db_value number_or_null(int64_t number)
{
    return db_number_or_null(number, number != 0);
}

static enum err write_run_rows(struct run_tx *run_tx)
{
    struct db_value *values =
        talloc_array(run_tx->tx->ctx, struct db_value, run_tx->runs_n * STATES_WRITE_SET_COUNT + 1);
    size_t rows = 0;
    for (size_t i = 0; i < run_tx->runs_n; i++) {
        const struct run *r = run_tx->runs[i];
        if (!r->changed)
            continue;
        struct db_value *v = &values[STATES_WRITE_SET_COUNT * rows++];
        v[STATES_WRITE_SET_ID] = db_id(&r->id);
        v[STATES_WRITE_SET_WORKSPACE_ID] = db_id(&r->workspace_id);
        v[STATES_WRITE_SET_RESPONDER_ID] = db_id(&r->responder_id);
        /* principal_id and source are NOT NULL, but are never inserted, because the row exists. */
        v[STATES_WRITE_SET_PRINCIPAL_ID] = db_id(&r->workspace_id);
        v[STATES_WRITE_SET_ROOT_ID] = db_id(&r->root_id);
        v[STATES_WRITE_SET_KIND] = db_number(r->kind);
        v[STATES_WRITE_SET_SOURCE] = db_number(SOURCE_STANDALONE);
        v[STATES_WRITE_SET_VERSION] = db_number(r->version);
        v[STATES_WRITE_SET_COST] = db_number(r->cost);
        v[STATES_WRITE_SET_STATE] = db_number(r->state);
        v[STATES_WRITE_SET_FAILURE_REASON] = db_number(r->reason);
        v[STATES_WRITE_SET_EFFECTS] = db_number(r->side_effects_started);
        v[STATES_WRITE_SET_ATTEMPT] = db_number(r->attempt);
        v[STATES_WRITE_SET_LOSSES] = db_number(r->lost_count);
        v[STATES_WRITE_SET_LAST_SEQ] = db_number(r->last_seq);
        v[STATES_WRITE_SET_EXECUTOR_ID] = db_number((int64_t)r->executor_id);
        v[STATES_WRITE_SET_REFUNDED] = db_number(r->refunded);
        v[STATES_WRITE_SET_STARTED_MS] = number_or_null(r->started_ms);
        v[STATES_WRITE_SET_ENDED_MS] = number_or_null(r->ended_ms);
        v[STATES_WRITE_SET_DEADLINE_MS] = number_or_null(r->deadline_ms);
        v[STATES_WRITE_SET_OUTPUT] = db_text(r->output);
        v[STATES_WRITE_SET_ERROR] = db_text(r->error);
    }
    return db_run_each(run_tx->tx->db, run_tx->tx->ctx, SQL_STATES_WRITE, NULL, 0, values,
                       STATES_WRITE_SET_COUNT, rows, NULL);
}

/* The runs that fail here, for the groups of errors (run/error_hash.h). */
static enum err write_failure_rows(struct run_tx *run_tx)
{
    struct db_value *values =
        talloc_array(run_tx->tx->ctx, struct db_value, run_tx->failed_n * FAILURE_INSERT_SET_COUNT + 1);
    for (size_t i = 0; i < run_tx->failed_n; i++) {
        const struct run *r = run_tx->failed[i];
        struct db_value *v = &values[FAILURE_INSERT_SET_COUNT * i];
        v[FAILURE_INSERT_SET_WORKSPACE_ID] = db_id(&r->workspace_id);
        v[FAILURE_INSERT_SET_EXECUTION_ID] = db_id(&r->id);
        v[FAILURE_INSERT_SET_RESPONDER_ID] = db_id(&r->responder_id);
        v[FAILURE_INSERT_SET_KIND] = db_number(r->kind);
        v[FAILURE_INSERT_SET_REASON] = db_number(r->reason);
        v[FAILURE_INSERT_SET_STEP] = db_text(r->failed_step);
        v[FAILURE_INSERT_SET_HASH] = db_number(error_hash(r->reason, r->failed_step, r->error));
        v[FAILURE_INSERT_SET_ENDED_MS] = db_number(r->ended_ms);
    }
    return db_run_each(run_tx->tx->db, run_tx->tx->ctx, SQL_FAILURE_INSERT, NULL, 0, values,
                       FAILURE_INSERT_SET_COUNT, run_tx->failed_n, NULL);
}

static enum err write_event_rows(struct run_tx *run_tx)
{
    struct db_value *values =
        talloc_array(run_tx->tx->ctx, struct db_value, run_tx->events_n * EVENT_INSERT_SET_COUNT + 1);
    for (size_t i = 0; i < run_tx->events_n; i++) {
        struct db_value *v = &values[EVENT_INSERT_SET_COUNT * i];
        v[EVENT_INSERT_SET_EXECUTION_ID] = db_id(&run_tx->events[i].run->id);
        v[EVENT_INSERT_SET_SEQ] = db_number(run_tx->events[i].seq);
        v[EVENT_INSERT_SET_TYPE] = db_number(run_tx->events[i].type);
        v[EVENT_INSERT_SET_AT_MS] = db_number(run_tx->events[i].at_ms);
        v[EVENT_INSERT_SET_DATA] = db_text(run_tx->events[i].data);
    }
    return db_run_each(run_tx->tx->db, run_tx->tx->ctx, SQL_EVENT_INSERT, NULL, 0, values,
                       EVENT_INSERT_SET_COUNT, run_tx->events_n, NULL);
}

/* The ends of runs, for the feeds of their workspaces (lib/store/feed.h). */
static enum err write_feed_rows(struct run_tx *run_tx)
{
    struct db_value *ids = talloc_array(run_tx->tx->ctx, struct db_value, run_tx->events_n + 1);
    size_t n = 0;
    for (size_t i = 0; i < run_tx->events_n; i++) {
        if (event_is_terminal(run_tx->events[i].type))
            ids[n++] = db_id(&run_tx->events[i].run->id);
    }
    return db_run_each(run_tx->tx->db, run_tx->tx->ctx, SQL_FEED_EVENT_INSERT, NULL, 0, ids, 1, n, NULL);
}

static enum err write_step_rows(struct run_tx *run_tx)
{
    struct db_value *values =
        talloc_array(run_tx->tx->ctx, struct db_value, run_tx->steps_n * EXECUTION_STEP_WRITE_SET_COUNT + 1);
    for (size_t i = 0; i < run_tx->steps_n; i++) {
        const struct run_step *s = &run_tx->steps[i].row;
        struct db_value *v = &values[EXECUTION_STEP_WRITE_SET_COUNT * i];
        v[EXECUTION_STEP_WRITE_SET_EXECUTION_ID] = db_id(&run_tx->steps[i].run->id);
        v[EXECUTION_STEP_WRITE_SET_STEP] = db_number(s->step);
        v[EXECUTION_STEP_WRITE_SET_ITEM] = db_number(s->item);
        v[EXECUTION_STEP_WRITE_SET_STATUS] = db_number(s->status);
        v[EXECUTION_STEP_WRITE_SET_TRIES] = db_number(s->tries);
        v[EXECUTION_STEP_WRITE_SET_ANSWERS] = db_number(s->answers);
        v[EXECUTION_STEP_WRITE_SET_DUE_MS] = number_or_null(s->due_ms);
        v[EXECUTION_STEP_WRITE_SET_TIMEOUT_MS] = number_or_null(s->timeout_ms);
        v[EXECUTION_STEP_WRITE_SET_STARTED_MS] = number_or_null(s->started_ms);
        v[EXECUTION_STEP_WRITE_SET_COMPLETED_MS] = number_or_null(s->completed_ms);
        v[EXECUTION_STEP_WRITE_SET_RESULT] = db_text(s->result);
        v[EXECUTION_STEP_WRITE_SET_ERROR] = db_text(s->error);
        v[EXECUTION_STEP_WRITE_SET_REASON] = number_or_null(s->reason);
    }
    return db_run_each(run_tx->tx->db, run_tx->tx->ctx, SQL_EXECUTION_STEP_WRITE, NULL, 0, values,
                       EXECUTION_STEP_WRITE_SET_COUNT, run_tx->steps_n, NULL);
}

static enum err write_starts(struct run_tx *run_tx)
{
    enum err e = OK;
    struct db_value *values =
        talloc_array(run_tx->tx->ctx, struct db_value, run_tx->starts_n * STARTS_PUT_SET_COUNT + 1);
    for (size_t i = 0; e == OK && i < run_tx->starts_n; i++) {
        const struct run_tx_start *s = &run_tx->starts[i];
        struct db_value args[] = {db_number(s->start_ms), db_id(&s->run->id)};
        struct db_value *v = &values[STARTS_PUT_SET_COUNT * i];
        v[STARTS_PUT_SET_EXECUTION_ID] = db_id(&s->run->id);
        v[STARTS_PUT_SET_WORKSPACE_ID] = db_id(&s->run->workspace_id);
        v[STARTS_PUT_SET_WAKE_MS] = db_number(s->start_ms);
        e = db_run(run_tx->tx->db, run_tx->tx->ctx, SQL_RUN_TIMES_MOVE, args, 2, NULL);
    }
    return e == OK ? db_run_each(run_tx->tx->db, run_tx->tx->ctx, SQL_STARTS_PUT, NULL, 0, values,
                                 STARTS_PUT_SET_COUNT, run_tx->starts_n, NULL)
                   : e;
}

/* Where rows of `waits` are both deleted and changed, they are locked in one ascending pass first. The caller
 * has sorted both lists. */
static enum err lock_waits(struct run_tx *run_tx)
{
    size_t n = run_tx->unparked_n + run_tx->parents_n;
    if (run_tx->unparked_n == 0 || run_tx->parents_n == 0)
        return OK;
    id *all = talloc_array(run_tx->tx->ctx, id, n);
    struct db_rows *rows;
    memcpy(all, run_tx->unparked, sizeof *all * run_tx->unparked_n);
    memcpy(all + run_tx->unparked_n, run_tx->parents, sizeof *all * run_tx->parents_n);
    n = id_sort_distinct(all, n);
    return db_run_each(run_tx->tx->db, run_tx->tx->ctx, SQL_WAITS_LOCK, NULL, 0, id_values(run_tx, all, n), 1,
                       n, &rows);
}

/* Wakes the parents of the runs that have ended, except those that are woken, or end, here. The rows of those
 * that are parked here come later, and say it. */
static enum err wake_parents(struct run_tx *run_tx)
{
    struct db_value head = db_number(WAIT_CHILD);
    size_t n = 0;
    for (size_t i = 0; i < run_tx->parks_n; i++) {
        struct run_tx_park *p = &run_tx->parks[i];
        p->due =
            p->due || (p->reason == WAIT_CHILD && id_search(run_tx->parents, run_tx->parents_n, &p->run->id));
    }
    for (size_t i = 0; i < run_tx->parents_n; i++) {
        if (!id_search(run_tx->unparked, run_tx->unparked_n, &run_tx->parents[i]))
            run_tx->parents[n++] = run_tx->parents[i];
    }
    run_tx->parents_n = n;
    return db_run_each(run_tx->tx->db, run_tx->tx->ctx, SQL_WAITS_WAKE, &head, 1,
                       id_values(run_tx, run_tx->parents, n), 1, n, NULL);
}

/* wake_ms of a run that is due says since when. */
static enum err put_waits(struct run_tx *run_tx)
{
    struct db_value *values =
        talloc_array(run_tx->tx->ctx, struct db_value, run_tx->parks_n * WAITS_PUT_SET_COUNT + 1);
    for (size_t i = 0; i < run_tx->parks_n; i++) {
        const struct run_tx_park *p = &run_tx->parks[i];
        struct db_value *v = &values[WAITS_PUT_SET_COUNT * i];
        v[WAITS_PUT_SET_EXECUTION_ID] = db_id(&p->run->id);
        v[WAITS_PUT_SET_WORKSPACE_ID] = db_id(&p->run->workspace_id);
        v[WAITS_PUT_SET_REASON] = db_number(p->reason);
        int64_t until_ms = waits_time_until(p->wake_ms);
        v[WAITS_PUT_SET_WAKE_MS] = db_number(p->due && until_ms > 0 ? 0 : until_ms);
        v[WAITS_PUT_SET_DUE] = db_number(p->due);
        v[WAITS_PUT_SET_UNTIL_MS] = number_or_null(p->until_ms);
    }
    return db_run_each(run_tx->tx->db, run_tx->tx->ctx, SQL_WAITS_PUT, NULL, 0, values, WAITS_PUT_SET_COUNT,
                       run_tx->parks_n, NULL);
}

/* The rows of `waits`. New ones come last: another transaction may wait for them, and this one waits for
 * nothing of theirs any more. */
static enum err write_waits(struct run_tx *run_tx)
{
    run_tx->unparked_n = id_sort_distinct(run_tx->unparked, run_tx->unparked_n);
    run_tx->parents_n = id_sort_distinct(run_tx->parents, run_tx->parents_n);
    enum err e = lock_waits(run_tx);
    if (e == OK)
        e = db_run_each(run_tx->tx->db, run_tx->tx->ctx, SQL_WAITS_DELETE, NULL, 0,
                        id_values(run_tx, run_tx->unparked, run_tx->unparked_n), 1, run_tx->unparked_n, NULL);
    if (e == OK)
        e = wake_parents(run_tx);
    return e == OK ? put_waits(run_tx) : e;
}

static enum err put_marks(struct run_tx *run_tx)
{
    struct db_value *values =
        talloc_array(run_tx->tx->ctx, struct db_value, run_tx->marks_n * STOPS_PUT_SET_COUNT + 1);
    for (size_t i = 0; i < run_tx->marks_n; i++) {
        const struct run_tx_mark *m = &run_tx->marks[i];
        struct db_value *v = &values[STOPS_PUT_SET_COUNT * i];
        v[STOPS_PUT_SET_EXECUTION_ID] = db_id(&m->run->id);
        v[STOPS_PUT_SET_WORKSPACE_ID] = db_id(&m->run->workspace_id);
        v[STOPS_PUT_SET_ROOT_ID] = db_id(&m->run->root_id);
        v[STOPS_PUT_SET_AT_MS] = db_number(m->at_ms);
        v[STOPS_PUT_SET_ERROR] = db_text(m->error);
    }
    return db_run_each(run_tx->tx->db, run_tx->tx->ctx, SQL_STOPS_PUT, NULL, 0, values, STOPS_PUT_SET_COUNT,
                       run_tx->marks_n, NULL);
}

enum err run_tx_flush(struct run_tx *run_tx)
{
    find_refunded_accounts(run_tx);
    settle_delayed(run_tx);
    enum err e = settle_concurrency(run_tx);
    if (e == OK && run_tx->missing_accounts_n > 0)
        return ERR_CONFLICT;
    if (e == OK)
        e = settle_charges(run_tx);
    if (e == OK)
        e = write_run_rows(run_tx);
    if (e == OK)
        e = write_failure_rows(run_tx);
    if (e == OK)
        e = write_step_rows(run_tx);
    if (e == OK)
        e = write_event_rows(run_tx);
    if (e == OK)
        e = write_feed_rows(run_tx);
    if (e == OK)
        e = account_refund(run_tx->tx, run_tx->accounts, run_tx->accounts_n, run_tx->refunds,
                           run_tx->refunds_n);
    if (e == OK)
        e = budget_refund(run_tx->tx, run_tx->accounts, run_tx->accounts_n, run_tx->refunds,
                          run_tx->refunds_n);
    if (e == OK)
        e = account_add_ledger_entries(run_tx->tx, run_tx->accounts, run_tx->accounts_n, run_tx->refunds,
                                       run_tx->refunds_n);
    if (e == OK)
        e = account_write(run_tx->tx, run_tx->accounts, run_tx->accounts_n);
    if (e == OK)
        e = write_waits(run_tx);
    if (e == OK)
        e = write_starts(run_tx);
    if (e == OK)
        e = put_marks(run_tx);
    if (e == OK)
        e = outbox_write(run_tx->tx, run_tx->messages, run_tx->messages_n);
    failpoint("run_tx.before_commit");
    return e;
}

const id *run_tx_missing_accounts(const struct run_tx *run_tx, size_t *n_r)
{
    *n_r = run_tx->missing_accounts_n;
    return run_tx->missing_accounts;
}

bool run_tx_needs_account(const struct run_tx *run_tx, const id *workspace)
{
    const struct account *a = account_find(run_tx->accounts, run_tx->accounts_n, workspace);
    return a && (a->max_concurrent > 0 || (a->prices & ACCOUNT_HAS_USED_PRICES));
}

/* --- publishing --- */

static void publish_event(struct redis *redis, void *ctx, const struct run_tx_event *e)
{
    char *text = event_json_make(ctx, &e->run->id, e->seq, e->type, e->at_ms, e->data);
    struct redis_arg args[] = {redis_text("PUBLISH"), redis_channel_events(ctx, &e->run->id),
                               redis_text(text)};
    redis_queue(redis, args, 3);
}

static void publish_ends(struct redis *redis, void *ctx, const struct run_tx_event *e)
{
    const struct run *r = e->run;
    if (e->type == EVENT_STOPPED) {
        struct redis_arg args[] = {redis_text("PUBLISH"), redis_channel_stops(ctx), redis_text(r->id.text)};
        redis_queue(redis, args, 3);
    }
    if (state_is_terminal(r->state) && id_is_set(&r->parent_id) && e->seq == r->last_seq) {
        struct redis_arg args[] = {redis_text("PUBLISH"), redis_channel_children(ctx),
                                   redis_text(talloc_asprintf(ctx, "%s %s", r->parent_id.text, r->id.text))};
        redis_queue(redis, args, 3);
    }
}

static void count_event(const struct run_tx_event *e)
{
    const struct run *r = e->run;
    if (e->type == EVENT_STARTED && r->attempt == 0)
        run_counts_claim(r->kind, r->started_ms - r->moved_ms);
    if (state_is_terminal(r->state) && e->seq == r->last_seq)
        run_counts_end(r->kind, r->state, r->reason, r->started_ms > 0 ? r->ended_ms - r->started_ms : -1);
}

void run_tx_publish(struct run_tx *run_tx, struct redis *redis)
{
    void *scratch = talloc_new(run_tx);
    failpoint("run_tx.after_commit");
    account_publish(redis, run_tx->accounts, run_tx->accounts_n);
    for (size_t i = 0; i < run_tx->events_n; i++) {
        publish_event(redis, scratch, &run_tx->events[i]);
        publish_ends(redis, scratch, &run_tx->events[i]);
        count_event(&run_tx->events[i]);
    }
    redis_flush(redis);
    talloc_free(scratch);
}
