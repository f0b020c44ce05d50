#include "run/store_executor.h"

#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"

enum { REQUEUE_BATCH_MAX = 64, EXECUTORS_MAX = 1000 };

enum err executor_register(struct db *db, const char *host, int pid, uint64_t *executor_r)
{
    void *scratch = talloc_new(NULL);
    struct db_value args[] = {
        [EXECUTOR_INSERT_SET_HOST] = db_text(host),
        [EXECUTOR_INSERT_SET_PID] = db_number(pid),
        [EXECUTOR_INSERT_SET_STARTED_MS] = db_number(clock_wall_ms()),
    };
    struct db_rows *rows;
    enum err e = db_run(db, scratch, SQL_EXECUTOR_INSERT, args, EXECUTOR_INSERT_SET_COUNT, &rows);
    if (e == OK)
        *executor_r = rows->insert_id;
    talloc_free(scratch);
    return e;
}

enum err executor_unregister(struct db *db, uint64_t executor)
{
    struct db_value value = db_number((int64_t)executor);
    return db_run(db, NULL, SQL_EXECUTOR_DELETE, &value, 1, NULL);
}

/* One statement that changes one row, or finds that it may not. */
static enum err update_one_row(struct db *db, enum sql_id query, const struct db_value *args, size_t n)
{
    void *scratch = talloc_new(NULL);
    struct db_rows *rows;
    enum err e = db_run(db, scratch, query, args, n, &rows);
    if (e == OK && rows->affected == 0)
        e = ERR_CONFLICT;
    talloc_free(scratch);
    return e;
}

enum err executor_heartbeat(struct db *db, uint64_t executor)
{
    struct db_value value = db_number((int64_t)executor);
    return update_one_row(db, SQL_EXECUTOR_HEARTBEAT, &value, 1);
}

enum err executor_mark_lost(struct db *db, uint64_t executor, int64_t beat)
{
    struct db_value args[] = {db_number(clock_wall_ms()), db_number((int64_t)executor), db_number(beat)};
    return update_one_row(db, SQL_EXECUTOR_MARK_LOST, args, 3);
}

static enum err list_runs(struct db *db, void *ctx, uint64_t executor, int64_t limit,
                          struct executor_run **runs_r, size_t *n_r)
{
    struct db_value args[] = {db_number(STATE_RUNNING), db_number((int64_t)executor), db_number(limit)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_EXECUTOR_RUNS, args, 3, &rows);
    if (e != OK)
        return e;
    *n_r = rows->count;
    *runs_r = talloc_array(ctx, struct executor_run, rows->count + 1);
    for (size_t r = 0; r < rows->count; r++)
        (*runs_r)[r] = (struct executor_run){db_get_id(rows, r, EXECUTOR_RUNS_ID),
                                             (int)db_int(rows, r, EXECUTOR_RUNS_ATTEMPT)};
    talloc_free(rows);
    return OK;
}

enum err executor_runs(struct db *db, void *ctx, uint64_t executor, struct executor_run **runs_r, size_t *n_r)
{
    return list_runs(db, ctx, executor, INT64_MAX, runs_r, n_r);
}

enum err executor_peers(struct db *db, void *ctx, struct executor_peer **peers_r, size_t *n_r)
{
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_EXECUTOR_PEERS, NULL, 0, &rows);
    if (e != OK)
        return e;
    *n_r = rows->count;
    *peers_r = talloc_array(ctx, struct executor_peer, rows->count + 1);
    for (size_t r = 0; r < rows->count; r++)
        (*peers_r)[r] = (struct executor_peer){(uint64_t)db_int(rows, r, EXECUTOR_PEERS_ID),
                                               db_int(rows, r, EXECUTOR_PEERS_BEAT)};
    talloc_free(rows);
    return OK;
}

/* --- taking runs away --- */

struct requeue {
    uint64_t executor;
    const id *runs;
    size_t n;
    enum transition move; /* MOVE_REQUEUE_LOST or MOVE_RELEASE */
    int max_lost;
    void *ctx;
    struct run_tx *run_tx;
    id exhausted[REQUEUE_BATCH_MAX]; /* lost once too often: failed one by one, with all that runs below */
    id exhausted_workspaces[REQUEUE_BATCH_MAX];
    size_t exhausted_n;
};

static enum err requeue_work(struct db_tx *tx, void *arg)
{
    struct requeue *t = arg;
    struct run_move move = {.move = t->move, .at_ms = clock_wall_ms()};
    t->exhausted_n = 0;
    t->run_tx = run_tx_begin(tx, t->ctx);
    enum err e = run_tx_lock(t->run_tx, t->runs, t->n, NULL, 0);
    for (size_t i = 0; e == OK && i < run_tx_count(t->run_tx); i++) {
        struct run *r = run_tx_at(t->run_tx, i);
        if (r->state != STATE_RUNNING || r->executor_id != t->executor)
            continue;
        if (t->move == MOVE_REQUEUE_LOST && r->lost_count + 1 >= t->max_lost) {
            t->exhausted[t->exhausted_n] = r->id;
            t->exhausted_workspaces[t->exhausted_n++] = r->workspace_id;
            continue;
        }
        e = run_move(t->run_tx, r, &move);
        if (e == OK)
            log_info(t->move == MOVE_REQUEUE_LOST ? "run.requeued" : "run.released",
                     "execution=%s workspace=%s workflow=%s attempt=%d executor=%llu", r->id.text,
                     r->workspace_id.text, r->responder_id.text, r->attempt, (unsigned long long)t->executor);
    }
    return e == OK ? run_tx_flush(t->run_tx) : e;
}

struct exhausted_run {
    const id *run, *workspace;
    uint64_t executor;
    void *ctx;
    struct run_tx *run_tx;
};

static enum err fail_exhausted_work(struct db_tx *tx, void *arg)
{
    struct exhausted_run *s = arg;
    struct run_move fail = {.move = MOVE_FAIL,
                            .at_ms = clock_wall_ms(),
                            .reason = REASON_EXECUTOR_LOST,
                            .error = "the executors that ran it were lost"};
    struct run_move stop = {
        .move = MOVE_STOP, .at_ms = fail.at_ms, .error = "the run that started it has ended"};
    s->run_tx = run_tx_begin(tx, s->ctx);
    enum err e = run_tx_lock_tree(s->run_tx, s->workspace, s->run);
    struct run *top = e == OK ? run_tx_find(s->run_tx, s->run) : NULL;
    if (!top || top->state != STATE_RUNNING || top->executor_id != s->executor)
        return e;
    for (size_t i = 0; e == OK && i < run_tx_count(s->run_tx); i++) {
        struct run *r = run_tx_at(s->run_tx, i);
        if (r == top || !state_is_terminal(r->state))
            e = run_move(s->run_tx, r, r == top ? &fail : &stop);
    }
    if (e == OK)
        log_info("run.failed", "execution=%s workspace=%s workflow=%s attempt=%d executor=%llu reason=%s",
                 top->id.text, top->workspace_id.text, top->responder_id.text, top->attempt,
                 (unsigned long long)s->executor, reason_name(fail.reason));
    return e == OK ? run_tx_flush(s->run_tx) : e;
}

static enum err requeue_runs(struct db *db, struct redis *redis, struct requeue *t)
{
    t->ctx = talloc_new(NULL);
    enum err e = db_transaction(db, requeue_work, t);
    failpoint("take.after_commit");
    if (e == OK && redis)
        run_tx_publish(t->run_tx, redis);
    for (size_t i = 0; e == OK && i < t->exhausted_n; i++) {
        struct exhausted_run s = {.run = &t->exhausted[i],
                                  .workspace = &t->exhausted_workspaces[i],
                                  .executor = t->executor,
                                  .ctx = t->ctx};
        e = db_transaction(db, fail_exhausted_work, &s);
        if (e == OK && redis)
            run_tx_publish(s.run_tx, redis);
    }
    talloc_free(t->ctx);
    return e;
}

enum err executor_requeue_runs(struct db *db, struct redis *redis, uint64_t executor, const id *runs,
                               size_t n, int max_lost)
{
    enum err e = OK;
    for (size_t done = 0; e == OK && done < n; done += REQUEUE_BATCH_MAX) {
        struct requeue t = {.executor = executor,
                            .runs = runs + done,
                            .n = n - done < REQUEUE_BATCH_MAX ? n - done : REQUEUE_BATCH_MAX,
                            .move = MOVE_REQUEUE_LOST,
                            .max_lost = max_lost};
        e = requeue_runs(db, redis, &t);
    }
    return e;
}

/* Up to 64 runs of one executor. */
static enum err requeue_batch(struct db *db, struct redis *redis, struct requeue *t, size_t *n_r)
{
    struct executor_run *runs;
    id ids[REQUEUE_BATCH_MAX];
    void *scratch = talloc_new(NULL);
    *n_r = 0;
    enum err e = list_runs(db, scratch, t->executor, REQUEUE_BATCH_MAX, &runs, n_r);
    for (size_t i = 0; e == OK && i < *n_r; i++)
        ids[i] = runs[i].id;
    talloc_free(scratch);
    t->runs = ids;
    t->n = *n_r;
    if (e == OK && *n_r > 0)
        e = requeue_runs(db, redis, t);
    t->runs = NULL;
    return e;
}

enum err executor_release_runs(struct db *db, struct redis *redis, uint64_t executor, size_t *n_r)
{
    struct requeue t = {.executor = executor, .move = MOVE_RELEASE};
    return requeue_batch(db, redis, &t, n_r);
}

enum err executor_requeue_orphans(struct db *db, struct redis *redis, int max_lost, size_t *n_r)
{
    void *scratch = talloc_new(NULL);
    struct db_value running = db_number(STATE_RUNNING);
    struct db_rows *rows;
    *n_r = 0;
    enum err e = db_run(db, scratch, SQL_EXECUTOR_ORPHANS, &running, 1, &rows);
    for (size_t r = 0; e == OK && r < rows->count; r++) {
        struct requeue t = {.executor = (uint64_t)db_int(rows, r, EXECUTOR_ORPHANS_EXECUTOR_ID),
                            .move = MOVE_REQUEUE_LOST,
                            .max_lost = max_lost};
        size_t n;
        do {
            e = requeue_batch(db, redis, &t, &n);
            *n_r += n;
        } while (e == OK && n == REQUEUE_BATCH_MAX);
    }
    talloc_free(scratch);
    return e;
}
