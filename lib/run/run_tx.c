#include "run/run_tx.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "account/account.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "redis/keys.h"
#include "run/event_json.h"
#include "json/json.h"

struct event {
    struct run *run;
    int seq;
    enum event_type type;
    int64_t at_ms;
    const char *data; /* NULL: {} */
};

struct step {
    struct run *run;
    struct run_step row;
};

struct run_writes {
    struct db_tx *tx;
    struct run **runs; /* ascending by id */
    size_t runs_n;
    struct account *accounts;
    size_t accounts_n;
    struct event *events;
    size_t events_n;
    struct step *steps;
    size_t steps_n;
    struct ledger_entry *refunds;
    size_t refunds_n;
    const struct run **ended_roots;
    size_t ended_roots_n;
    id *wanted;
    size_t wanted_n;
};

struct run_writes *run_writes_begin(struct db_tx *tx, void *holder)
{
    struct run_writes *w = talloc_zero(holder, struct run_writes);
    w->tx = tx;
    return w;
}

/* --- locking --- */

static int compare_ids(const void *a, const void *b)
{
    return strcmp(((const id *)a)->text, ((const id *)b)->text);
}

/* The columns of sql/queries/states_lock*.sql. */
static struct run *run_from_row(void *ctx, const struct db_rows *rows, size_t r)
{
    struct run *run = talloc_zero(ctx, struct run);
    run->id = db_get_id(rows, r, 0);
    run->workspace_id = db_get_id(rows, r, 1);
    run->responder_id = db_get_id(rows, r, 2);
    run->root_id = db_get_id(rows, r, 3);
    run->parent_id = db_get_id(rows, r, 4);
    run->key_id = db_get_id(rows, r, 5);
    run->kind = (enum responder_kind)db_int(rows, r, 6);
    run->version = (int)db_int(rows, r, 7);
    run->depth = (int)db_int(rows, r, 8);
    run->state = (enum state)db_int(rows, r, 9);
    run->reason = (enum failure_reason)db_int(rows, r, 10);
    run->effects = db_int(rows, r, 11) != 0;
    run->attempt = (int)db_int(rows, r, 12);
    run->losses = (int)db_int(rows, r, 13);
    run->last_seq = (int)db_int(rows, r, 14);
    run->executor_id = (uint64_t)db_int(rows, r, 15);
    run->cost = db_int(rows, r, 16);
    run->refunded = db_int(rows, r, 17);
    run->started_ms = db_int(rows, r, 18);
    run->ended_ms = db_int(rows, r, 19);
    run->deadline_ms = db_int(rows, r, 20);
    return run;
}

static void keep_rows(struct run_writes *w, const struct db_rows *rows)
{
    w->runs = talloc_realloc(w, w->runs, struct run *, w->runs_n + rows->count + 1);
    for (size_t r = 0; r < rows->count; r++)
        w->runs[w->runs_n++] = run_from_row(w, rows, r);
}

static enum err lock_runs(struct run_writes *w, const id *runs, size_t n)
{
    id *sorted = talloc_array(w->tx->ctx, id, n + 1);
    struct db_value *values = talloc_array(w->tx->ctx, struct db_value, n + 1);
    memcpy(sorted, runs, sizeof *sorted * n);
    qsort(sorted, n, sizeof *sorted, compare_ids);
    size_t distinct = 0;
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || strcmp(sorted[i].text, sorted[i - 1].text) != 0)
            values[distinct++] = db_id(&sorted[i]);
    }
    struct db_rows *rows;
    enum err e = db_run_each(w->tx->db, w->tx->ctx, SQL_STATES_LOCK, NULL, 0, values, 1, distinct, &rows);
    if (e == OK)
        keep_rows(w, rows);
    return e;
}

enum err run_writes_lock(struct run_writes *w, const id *runs, size_t runs_n, const id *accounts,
                         size_t accounts_n)
{
    enum err e = OK;
    if (accounts_n > 0)
        e = account_lock(w->tx, w, accounts, accounts_n, &w->accounts, &w->accounts_n);
    return e == OK ? lock_runs(w, runs, runs_n) : e;
}

/* Whether row r of the tree's listing (by id) is a child of `top`, or of one known to be below it. */
static bool is_below(const struct db_rows *rows, size_t r, const char *top, const bool *below)
{
    const char *parent = db_str(rows, r, 1);
    if (strcmp(parent, top) == 0)
        return true;
    size_t low = 0;
    size_t high = rows->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int c = strcmp(db_str(rows, middle, 0), parent);
        if (c == 0)
            return below[middle];
        if (c < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* Parents are listed before their children, but where the clock was set back in between: so until nothing
 * more is found. */
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

enum err run_writes_lock_tree(struct run_writes *w, const id *workspace, const id *top)
{
    struct db_rows *rows;
    struct db_value args[] = {db_id(top), db_id(workspace)};
    enum err e = account_lock(w->tx, w, workspace, 1, &w->accounts, &w->accounts_n);
    if (e == OK)
        e = db_run(w->tx->db, w->tx->ctx, SQL_EXECUTION_ROOT, args, 2, &rows);
    if (e != OK)
        return e;
    if (rows->count == 0)
        return ERR_NOT_FOUND;
    struct db_value root = db_bytes(db_str(rows, 0, 0), ID_LENGTH);
    e = db_run(w->tx->db, w->tx->ctx, SQL_EXECUTION_TREE, &root, 1, &rows);
    if (e != OK)
        return e;
    const bool *below = find_below(w->tx->ctx, rows, top->text);
    id *ids = talloc_array(w->tx->ctx, id, rows->count + 1);
    size_t n = 0;
    ids[n++] = *top;
    for (size_t r = 0; r < rows->count; r++) {
        if (below[r] && !state_is_terminal((enum state)db_int(rows, r, 2)))
            ids[n++] = db_get_id(rows, r, 0);
    }
    return lock_runs(w, ids, n);
}

enum err run_writes_lock_queued(struct run_writes *w, const id *hints, size_t n, size_t limit)
{
    struct db_value head[] = {db_number(STATE_QUEUED), db_number((int64_t)limit)};
    struct db_value *values = talloc_array(w->tx->ctx, struct db_value, n + 1);
    struct db_rows *rows;
    for (size_t i = 0; i < n; i++)
        values[i] = db_id(&hints[i]);
    enum err e = n > 0 ? db_run_each(w->tx->db, w->tx->ctx, SQL_STATES_LOCK_HINTED, head, 1, values, 1,
                                     n < limit ? n : limit, &rows)
                       : db_run(w->tx->db, w->tx->ctx, SQL_STATES_LOCK_QUEUED, head, 2, &rows);
    if (e == OK)
        keep_rows(w, rows);
    return e;
}

size_t run_writes_count(const struct run_writes *w)
{
    return w->runs_n;
}

struct run *run_writes_at(struct run_writes *w, size_t i)
{
    return w->runs[i];
}

struct run *run_writes_find(struct run_writes *w, const id *run)
{
    for (size_t i = 0; i < w->runs_n; i++) {
        if (strcmp(w->runs[i]->id.text, run->text) == 0)
            return w->runs[i];
    }
    return NULL;
}

bool run_is_ours(const struct run *r, uint64_t executor_id, int attempt)
{
    return r->state == STATE_RUNNING && r->executor_id == executor_id && r->attempt == attempt;
}

/* --- changes, in memory --- */

static const char *keep_text(struct run_writes *w, const char *text)
{
    return text ? talloc_strdup(w, text) : NULL;
}

void run_event(struct run_writes *w, struct run *r, enum event_type type, int64_t at_ms, const char *data)
{
    w->events = talloc_realloc(w, w->events, struct event, w->events_n + 1);
    w->events[w->events_n++] = (struct event){r, ++r->last_seq, type, at_ms, keep_text(w, data)};
    r->changed = true;
}

void run_step(struct run_writes *w, struct run *r, const struct run_step *s)
{
    w->steps = talloc_realloc(w, w->steps, struct step, w->steps_n + 1);
    struct step *kept = &w->steps[w->steps_n++];
    *kept = (struct step){r, *s};
    kept->row.result = keep_text(w, s->result);
    kept->row.error = keep_text(w, s->error);
    r->changed = true;
}

static void refund(struct run_writes *w, struct run *r)
{
    w->refunds = talloc_realloc(w, w->refunds, struct ledger_entry, w->refunds_n + 1);
    w->refunds[w->refunds_n++] = (struct ledger_entry){
        .workspace_id = r->workspace_id,
        .id = id_new(),
        .kind = LEDGER_REFUND,
        .amount = r->cost,
        .execution_id = r->id,
        .responder_id = r->responder_id,
        .key_id = r->key_id,
    };
    r->refunded = r->cost;
}

/* What the event of a move says. */
static const char *move_data(void *ctx, const struct run *r, const struct run_move *m)
{
    json_object *data = json_own(ctx, json_object_new_object());
    if (m->move == MOVE_CLAIM || m->move == MOVE_LOSE || m->move == MOVE_HAND_BACK)
        json_object_object_add(data, "attempt", json_object_new_int(r->attempt));
    if (m->move == MOVE_LOSE)
        json_object_object_add(data, "reason", json_object_new_string(reason_name(REASON_EXECUTOR_LOST)));
    if (m->move == MOVE_FAIL) {
        json_object_object_add(data, "failure_reason", json_object_new_string(reason_name(r->reason)));
        json_object_object_add(data, "error", m->error ? json_object_new_string(m->error) : NULL);
    }
    return json_text(data, NULL);
}

static void end_run(struct run_writes *w, struct run *r, const struct run_move *m)
{
    r->ended_ms = m->at_ms;
    r->reason = m->move == MOVE_FAIL ? m->reason : m->move == MOVE_STOP ? REASON_STOPPED : REASON_NONE;
    r->output = keep_text(w, m->output);
    r->error = keep_text(w, m->error);
    if (r->state != STATE_SUCCEEDED && !r->effects && r->refunded == 0 && r->cost > 0)
        refund(w, r);
    if (!id_is_set(&r->parent_id)) {
        w->ended_roots = talloc_realloc(w, w->ended_roots, const struct run *, w->ended_roots_n + 1);
        w->ended_roots[w->ended_roots_n++] = r;
    }
}

enum err run_move(struct run_writes *w, struct run *r, const struct run_move *m)
{
    enum state to;
    if (!state_may(r->state, m->move, &to))
        return ERR_CONFLICT;
    r->state = to;
    r->changed = true;
    r->executor_id = m->move == MOVE_CLAIM ? m->executor_id : 0;
    if (m->move == MOVE_CLAIM) {
        if (r->started_ms == 0)
            r->started_ms = m->at_ms;
        if (r->deadline_ms == 0 || (m->deadline_ms > 0 && m->deadline_ms < r->deadline_ms))
            r->deadline_ms = m->deadline_ms;
    }
    if (m->move == MOVE_LOSE || m->move == MOVE_HAND_BACK)
        r->attempt++;
    if (m->move == MOVE_LOSE)
        r->losses++;
    if (state_is_terminal(to))
        end_run(w, r, m);
    run_event(w, r, state_event(m->move), m->at_ms, move_data(w->tx->ctx, r, m));
    return OK;
}

/* --- writing --- */

static void want(struct run_writes *w, const id *workspace)
{
    w->wanted = talloc_realloc(w, w->wanted, id, w->wanted_n + 1);
    w->wanted[w->wanted_n++] = *workspace;
}

/* An ended root counts `active` down where max_concurrent is set. That is read after the run's row was
 * locked, here or by the holder (`unlimited`): whoever sets it counts with the account locked and the rows
 * shared, so either it saw the end, or we see the setting. */
static enum err settle_concurrency(struct run_writes *w)
{
    struct db_value *values = talloc_array(w->tx->ctx, struct db_value, w->ended_roots_n + 1);
    size_t n = 0;
    for (size_t i = 0; i < w->ended_roots_n; i++) {
        const struct run *r = w->ended_roots[i];
        struct account *a = account_find(w->accounts, w->accounts_n, &r->workspace_id);
        if (!a && !r->unlimited) {
            values[n++] = db_id(&r->workspace_id);
        } else if (a && a->max_concurrent > 0) {
            a->active--;
            a->changed = true;
        }
    }
    struct db_rows *rows;
    enum err e = db_run_each(w->tx->db, w->tx->ctx, SQL_ACCOUNT_LIMITED, NULL, 0, values, 1, n, &rows);
    for (size_t r = 0; e == OK && r < rows->count; r++) {
        id workspace = db_get_id(rows, r, 0);
        want(w, &workspace);
    }
    return e;
}

static void settle_refunds(struct run_writes *w)
{
    for (size_t i = 0; i < w->refunds_n; i++) {
        struct account *a = account_find(w->accounts, w->accounts_n, &w->refunds[i].workspace_id);
        if (!a) {
            want(w, &w->refunds[i].workspace_id);
            continue;
        }
        a->balance += w->refunds[i].amount;
        a->changed = true;
    }
}

static struct db_value number_or_null(int64_t number)
{
    return db_number_or_null(number, number != 0);
}

static enum err write_rows(struct run_writes *w, int64_t now_ms)
{
    enum { COLUMNS = 23 };
    struct db_value *values = talloc_array(w->tx->ctx, struct db_value, w->runs_n * COLUMNS + 1);
    size_t rows = 0;
    for (size_t i = 0; i < w->runs_n; i++) {
        const struct run *r = w->runs[i];
        if (!r->changed)
            continue;
        struct db_value *v = &values[COLUMNS * rows++];
        v[0] = db_id(&r->id);
        v[1] = db_id(&r->workspace_id);
        v[2] = db_id(&r->responder_id);
        v[3] = db_id(&r->workspace_id); /* principal_id: NOT NULL, but never inserted */
        v[4] = db_id(&r->root_id);
        v[5] = db_number(r->kind);
        v[6] = db_number(SOURCE_STANDALONE); /* never inserted either */
        v[7] = db_number(r->version);
        v[8] = db_number(r->cost);
        v[9] = db_number(r->state);
        v[10] = db_number(r->reason);
        v[11] = db_number(r->effects);
        v[12] = db_number(r->attempt);
        v[13] = db_number(r->losses);
        v[14] = db_number(r->last_seq);
        v[15] = db_number((int64_t)r->executor_id);
        v[16] = db_number(r->refunded);
        v[17] = number_or_null(r->started_ms);
        v[18] = number_or_null(r->ended_ms);
        v[19] = number_or_null(r->deadline_ms);
        v[20] = db_number(now_ms);
        v[21] = db_text(r->output);
        v[22] = db_text(r->error);
    }
    return db_run_each(w->tx->db, w->tx->ctx, SQL_STATES_WRITE, NULL, 0, values, COLUMNS, rows, NULL);
}

static enum err write_events(struct run_writes *w)
{
    enum { COLUMNS = 5 };
    struct db_value *values = talloc_array(w->tx->ctx, struct db_value, w->events_n * COLUMNS + 1);
    for (size_t i = 0; i < w->events_n; i++) {
        struct db_value *v = &values[COLUMNS * i];
        v[0] = db_id(&w->events[i].run->id);
        v[1] = db_number(w->events[i].seq);
        v[2] = db_number(w->events[i].type);
        v[3] = db_number(w->events[i].at_ms);
        v[4] = db_text(w->events[i].data);
    }
    return db_run_each(w->tx->db, w->tx->ctx, SQL_EVENT_INSERT, NULL, 0, values, COLUMNS, w->events_n, NULL);
}

static enum err write_steps(struct run_writes *w)
{
    enum { COLUMNS = 11 };
    struct db_value *values = talloc_array(w->tx->ctx, struct db_value, w->steps_n * COLUMNS + 1);
    for (size_t i = 0; i < w->steps_n; i++) {
        const struct run_step *s = &w->steps[i].row;
        struct db_value *v = &values[COLUMNS * i];
        v[0] = db_id(&w->steps[i].run->id);
        v[1] = db_number(s->step);
        v[2] = db_number(s->item);
        v[3] = db_number(s->status);
        v[4] = db_number(s->tries);
        v[5] = db_number(s->answers);
        v[6] = number_or_null(s->due_ms);
        v[7] = number_or_null(s->started_ms);
        v[8] = number_or_null(s->completed_ms);
        v[9] = db_text(s->result);
        v[10] = db_text(s->error);
    }
    return db_run_each(w->tx->db, w->tx->ctx, SQL_EXECUTION_STEP_WRITE, NULL, 0, values, COLUMNS, w->steps_n,
                       NULL);
}

enum err run_writes_flush(struct run_writes *w)
{
    settle_refunds(w);
    enum err e = settle_concurrency(w);
    if (e == OK && w->wanted_n > 0)
        return ERR_CONFLICT;
    if (e == OK)
        e = write_rows(w, clock_wall_ms());
    if (e == OK)
        e = write_steps(w);
    if (e == OK)
        e = write_events(w);
    if (e == OK)
        e = account_ledger(w->tx, w->refunds, w->refunds_n);
    if (e == OK)
        e = account_write(w->tx, w->accounts, w->accounts_n);
    crash_point("run_write.before_commit");
    return e;
}

const id *run_writes_wanted(const struct run_writes *w, size_t *n_r)
{
    *n_r = w->wanted_n;
    return w->wanted;
}

bool run_writes_limited(const struct run_writes *w, const id *workspace)
{
    const struct account *a = account_find(w->accounts, w->accounts_n, workspace);
    return a && a->max_concurrent > 0;
}

/* --- publishing --- */

static void publish_event(struct redis *redis, void *ctx, const struct event *e)
{
    char *text = event_text(ctx, &e->run->id, e->seq, e->type, e->at_ms, e->data);
    struct redis_arg args[] = {redis_text("PUBLISH"), redis_channel_events(ctx, &e->run->id),
                               redis_text(text)};
    redis_queue(redis, args, 3);
}

static void publish_ends(struct redis *redis, void *ctx, const struct event *e)
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

void run_writes_publish(struct run_writes *w, struct redis *redis)
{
    void *scratch = talloc_new(w);
    crash_point("run_write.after_commit");
    account_publish(redis, w->accounts, w->accounts_n);
    for (size_t i = 0; i < w->events_n; i++) {
        publish_event(redis, scratch, &w->events[i]);
        publish_ends(redis, scratch, &w->events[i]);
    }
    redis_flush(redis);
    talloc_free(scratch);
}
