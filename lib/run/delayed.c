#include "run/delayed.h"

#include <talloc.h>

#include "account/account.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "deed/deed.h"
#include "redis/run_queue.h"
#include "run/run_tx.h"
#include "run/waits.h"

enum {
    /* Runs of one transaction. */
    BEGIN_MAX = 200,
    EXPIRE_MAX = 200,
};

/* --- the start has come --- */

struct begin {
    const id *workspace;
    void *ctx;
    struct run_tx *run_tx;
    id runs[BEGIN_MAX];
    size_t n;
    bool is_full;
};

/* As many as max_concurrent has room for; the others wait on. */
static size_t room_for(const struct account *a)
{
    if (a->max_concurrent <= 0)
        return BEGIN_MAX;
    int64_t room = a->max_concurrent - a->active;
    return room <= 0 ? 0 : room < BEGIN_MAX ? (size_t)room : BEGIN_MAX;
}

static enum err begin_runs(struct begin *b, const id *runs, size_t n)
{
    const struct run_move move = {.move = MOVE_BEGIN, .at_ms = clock_wall_ms()};
    enum err e = run_tx_lock(b->run_tx, runs, n, NULL, 0);
    for (size_t i = 0; e == OK && i < run_tx_count(b->run_tx); i++) {
        struct run *r = run_tx_at(b->run_tx, i);
        if (!r->delayed)
            continue; /* stopped or expired in the meantime */
        e = run_move(b->run_tx, r, &move);
        b->runs[b->n++] = r->id;
    }
    return e == OK ? run_tx_flush(b->run_tx) : e;
}

static enum err begin_work(struct db_tx *tx, void *arg)
{
    struct begin *b = arg;
    id runs[BEGIN_MAX];
    struct db_rows *rows;
    b->n = 0;
    b->is_full = false;
    b->run_tx = run_tx_begin(tx, b->ctx);
    enum err e = run_tx_lock(b->run_tx, b->runs, 0, b->workspace, 1);
    if (e != OK)
        return e;
    size_t room = room_for(run_tx_account(b->run_tx, b->workspace));
    struct db_value args[] = {db_id(b->workspace), db_number((int64_t)room)};
    if (room == 0)
        return OK;
    e = db_run(tx->db, tx->ctx, SQL_STARTS_DUE, args, 2, &rows);
    for (size_t i = 0; e == OK && i < rows->count; i++)
        runs[i] = db_get_id(rows, i, STARTS_DUE_EXECUTION_ID);
    b->is_full = e == OK && rows->count == BEGIN_MAX;
    return e == OK ? begin_runs(b, runs, rows->count) : e;
}

static void publish_begun(struct redis *redis, const struct begin *b)
{
    struct queued_run push[BEGIN_MAX];
    for (size_t i = 0; i < b->n; i++)
        push[i] = (struct queued_run){b->workspace, &b->runs[i]};
    if (b->n > 0)
        run_queue_push(redis, b->ctx, push, b->n);
    run_tx_publish(b->run_tx, redis);
}

static enum err next_workspace(struct db *db, void *ctx, const id *after, id *workspace_r)
{
    struct db_value from = id_is_set(after) ? db_id(after) : db_text("00000000-0000-0000-0000-000000000000");
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_STARTS_NEXT, &from, 1, &rows);
    if (e == OK && rows->count == 0)
        return ERR_NOT_FOUND;
    if (e == OK)
        *workspace_r = db_get_id(rows, 0, STARTS_NEXT_WORKSPACE_ID);
    return e;
}

enum err delayed_begin(struct db *db, struct redis *redis, id *after, size_t *n_r)
{
    id workspace;
    bool due;
    struct begin *b = talloc_zero(NULL, struct begin);
    b->ctx = b;
    b->workspace = &workspace;
    *n_r = 0;
    /* executors mark what is due, too, but only while they have free slots */
    enum err e = id_is_set(after) ? OK : waits_mark_due(db, &due);
    if (e == OK)
        e = next_workspace(db, b, after, &workspace);
    if (e == OK) {
        e = db_transaction(db, begin_work, b);
        failpoint("delayed.after_commit");
        if (e == OK)
            *n_r = b->n;
        if (e == OK && redis)
            publish_begun(redis, b);
        if (e != OK || !b->is_full) /* an account that is locked is tried again in the next round */
            *after = workspace;
        e = e == ERR_RETRY ? OK : e;
    } else if (e == ERR_NOT_FOUND) {
        *after = (id){{0}};
    }
    talloc_free(b);
    return e;
}

/* --- the expiry has come --- */

struct expire {
    const id *workspace, *runs;
    size_t n;
    void *ctx;
    struct run_tx *run_tx;
};

static enum err expire_work(struct db_tx *tx, void *arg)
{
    struct expire *x = arg;
    const struct run_move move = {
        .move = MOVE_EXPIRE, .at_ms = clock_wall_ms(), .error = "the run was not started by its expires_at"};
    struct db_value *ids = talloc_array(tx->ctx, struct db_value, x->n);
    x->run_tx = run_tx_begin(tx, x->ctx);
    enum err e = run_tx_lock(x->run_tx, x->runs, x->n, x->workspace, 1);
    for (size_t i = 0; e == OK && i < run_tx_count(x->run_tx); i++) {
        struct run *r = run_tx_at(x->run_tx, i);
        if (r->state == STATE_QUEUED && r->started_ms == 0)
            e = run_move(x->run_tx, r, &move);
    }
    if (e == OK)
        e = run_tx_flush(x->run_tx);
    for (size_t i = 0; i < x->n; i++)
        ids[i] = db_id(&x->runs[i]);
    return e == OK ? db_run_each(tx->db, tx->ctx, SQL_RUN_TIMES_SETTLE, NULL, 0, ids, 1, x->n, NULL) : e;
}

/* One transaction for each workspace, because accounts are not waited for. */
static enum err expire_workspace(struct db *db, struct redis *redis, void *ctx, const id *workspace,
                                 const id *runs, size_t n)
{
    struct expire x = {.workspace = workspace, .runs = runs, .n = n, .ctx = ctx};
    enum err e = db_transaction(db, expire_work, &x);
    failpoint("expire.after_commit");
    if (e == OK && redis)
        run_tx_publish(x.run_tx, redis);
    return e;
}

enum err delayed_expire(struct db *db, struct redis *redis, size_t *n_r)
{
    void *ctx = talloc_new(NULL);
    struct db_value limit = db_number(EXPIRE_MAX);
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_RUN_TIMES_EXPIRED, &limit, 1, &rows);
    *n_r = 0;
    for (size_t at = 0, n; e == OK && at < rows->count; at += n) {
        id runs[EXPIRE_MAX], workspace = db_get_id(rows, at, RUN_TIMES_EXPIRED_WORKSPACE_ID);
        id next = workspace;
        for (n = 0; id_equal(&next, &workspace);) {
            runs[n] = db_get_id(rows, at + n, RUN_TIMES_EXPIRED_EXECUTION_ID);
            if (at + ++n == rows->count)
                break;
            next = db_get_id(rows, at + n, RUN_TIMES_EXPIRED_WORKSPACE_ID);
        }
        e = expire_workspace(db, redis, ctx, &workspace, runs, n);
        if (e == OK)
            *n_r += n;
        else if (e == ERR_RETRY)
            e = OK; /* the account is locked: these come again */
        else if (!err_is_transient(e)) {
            log_error("expire.failed", "workspace=%s error=%s", workspace.text, err_name(e));
            e = OK; /* the others are not kept from their end */
        }
    }
    talloc_free(ctx);
    return e;
}

/* --- moving --- */

struct move_start {
    const id *workspace, *run;
    int64_t start_ms;
    void *ctx;
    struct run_tx *run_tx;
};

static enum err move_work(struct db_tx *tx, void *arg)
{
    struct move_start *m = arg;
    struct account *account;
    size_t n;
    m->run_tx = run_tx_begin(tx, m->ctx);
    /* begin_work holds the account from the search for due runs until it has begun them */
    enum err e = account_lock(tx, tx->ctx, m->workspace, 1, &account, &n);
    if (e == OK)
        e = run_tx_lock(m->run_tx, m->run, 1, NULL, 0);
    struct run *r = e == OK ? run_tx_find(m->run_tx, m->run) : NULL;
    if (e != OK)
        return e;
    if (!r || !id_equal(&r->workspace_id, m->workspace))
        return ERR_NOT_FOUND;
    if (!r->delayed)
        return ERR_CONFLICT;
    run_move_start(m->run_tx, r, m->start_ms, clock_wall_ms());
    e = deed_record(tx, "execution.move", m->workspace, m->run->text, NULL);
    return e == OK ? run_tx_flush(m->run_tx) : e;
}

enum err delayed_move(struct db *db, struct redis *redis, const id *workspace, const id *run,
                      int64_t start_ms)
{
    struct move_start m = {.workspace = workspace, .run = run, .start_ms = start_ms, .ctx = talloc_new(NULL)};
    enum err e = db_transaction(db, move_work, &m);
    failpoint("move.after_commit");
    if (e == OK && redis)
        run_tx_publish(m.run_tx, redis);
    talloc_free(m.ctx);
    return e;
}
