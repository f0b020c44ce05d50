#include "run/recover.h"

#include <talloc.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "run/stop_tree.h"

enum { REQUEUE_BATCH_MAX = 64 };

struct requeue {
    uint64_t executor;
    const id *runs;
    size_t n;
    /* MOVE_REQUEUE_LOST or MOVE_RELEASE. */
    enum transition move;
    int max_lost;
    void *ctx;
    struct run_tx *run_tx;
    /* Runs that were lost too often. They are failed one by one, each with its descendants. */
    id exhausted[REQUEUE_BATCH_MAX];
    id exhausted_workspaces[REQUEUE_BATCH_MAX];
    size_t exhausted_n;
    /* May be NULL. */
    const struct recover_watch *watch;
};

static void show_progress(const struct requeue *t)
{
    if (t->watch)
        t->watch->on_transaction(t->watch->arg);
}

enum recover_action recover_decide(const struct run *r, uint64_t executor, enum transition move, int max_lost)
{
    if (r->state != STATE_RUNNING || r->executor_id != executor)
        return RECOVER_SKIP;
    return move == MOVE_REQUEUE_LOST && r->lost_count + 1 >= max_lost ? RECOVER_FAIL : RECOVER_MOVE;
}

static enum err requeue_run(struct requeue *t, struct run *r, const struct run_move *move)
{
    enum err e = run_move(t->run_tx, r, move);
    if (e == OK)
        log_info(t->move == MOVE_REQUEUE_LOST ? "run.requeued" : "run.released",
                 "execution=%s workspace=%s workflow=%s attempt=%d executor=%llu", r->id.text,
                 r->workspace_id.text, r->responder_id.text, r->attempt, (unsigned long long)t->executor);
    return e;
}

static enum err requeue_work(struct db_tx *tx, void *arg)
{
    struct requeue *t = arg;
    struct run_move move = {.move = t->move, .at_ms = clock_wall_ms()};
    t->exhausted_n = 0;
    t->run_tx = run_tx_begin(tx, t->ctx);
    enum err e = run_tx_lock(t->run_tx, t->runs, t->n, NULL, 0);
    for (size_t i = 0; e == OK && i < run_tx_count(t->run_tx); i++) {
        struct run *r = run_tx_at(t->run_tx, i);
        switch (recover_decide(r, t->executor, t->move, t->max_lost)) {
        case RECOVER_MOVE:
            e = requeue_run(t, r, &move);
            break;
        case RECOVER_FAIL:
            t->exhausted[t->exhausted_n] = r->id;
            t->exhausted_workspaces[t->exhausted_n++] = r->workspace_id;
            break;
        case RECOVER_SKIP:
            break;
        }
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
    bool all;
    s->run_tx = run_tx_begin(tx, s->ctx);
    enum err e = run_tx_lock_tree(s->run_tx, s->workspace, s->run, NULL, 0, &all);
    struct run *top = e == OK ? run_tx_find(s->run_tx, s->run) : NULL;
    if (!top || top->state != STATE_RUNNING || top->executor_id != s->executor)
        return e;
    e = run_move(s->run_tx, top, &fail);
    if (e == OK)
        e = run_stop_others(s->run_tx, top, all, fail.at_ms);
    if (e == OK)
        log_info("run.failed", "execution=%s workspace=%s workflow=%s attempt=%d executor=%llu reason=%s",
                 top->id.text, top->workspace_id.text, top->responder_id.text, top->attempt,
                 (unsigned long long)s->executor, reason_name(fail.reason));
    return e == OK ? run_tx_flush(s->run_tx) : e;
}

static enum err requeue_runs(struct db *db, struct redis *redis, struct requeue *t)
{
    t->ctx = talloc_new(NULL);
    show_progress(t);
    enum err e = db_transaction(db, requeue_work, t);
    failpoint("recover.after_commit");
    if (e == OK && redis)
        run_tx_publish(t->run_tx, redis);
    for (size_t i = 0; e == OK && i < t->exhausted_n; i++) {
        struct exhausted_run s = {.run = &t->exhausted[i],
                                  .workspace = &t->exhausted_workspaces[i],
                                  .executor = t->executor,
                                  .ctx = t->ctx};
        show_progress(t);
        e = db_transaction(db, fail_exhausted_work, &s);
        if (e == OK && redis)
            run_tx_publish(s.run_tx, redis);
        /* the account is locked: the other runs go on, this one is found again later */
        e = e == ERR_RETRY ? OK : e;
    }
    talloc_free(t->ctx);
    return e;
}

struct begun_run_claim {
    uint64_t executor;
    const id *run;
    int attempt;
    bool claimed;
    void *ctx;
    struct run_tx *run_tx;
};

/* Without a deadline: the claim that comes next sets it. A parked run was being woken: `attempt` is the one
 * that it would have had. */
static enum err claim_begun_run_work(struct db_tx *tx, void *arg)
{
    struct begun_run_claim *c = arg;
    struct run_move claim = {.at_ms = clock_wall_ms(), .executor_id = c->executor};
    c->run_tx = run_tx_begin(tx, c->ctx);
    c->claimed = false;
    enum err e = run_tx_lock(c->run_tx, c->run, 1, NULL, 0);
    struct run *r = e == OK ? run_tx_find(c->run_tx, c->run) : NULL;
    if (r && tx->settling && run_is_ours(r, c->executor, c->attempt)) {
        c->claimed = r->changed = true; /* an earlier execution has committed; a write flushes the log */
        return run_tx_flush(c->run_tx);
    }
    if (!r || !run_is_claimable(r, c->attempt))
        return e;
    claim.move = r->parked ? MOVE_WAKE : MOVE_CLAIM;
    if (r->parked)
        e = run_tx_read_until(c->run_tx, 0);
    if (e == OK)
        e = run_move(c->run_tx, r, &claim);
    c->claimed = e == OK;
    return e == OK ? run_tx_flush(c->run_tx) : e;
}

enum err executor_requeue_begun_run(struct db *db, struct redis *redis, uint64_t executor, const id *run,
                                    int attempt, int max_lost)
{
    struct begun_run_claim c = {
        .executor = executor, .run = run, .attempt = attempt, .ctx = talloc_new(NULL)};
    enum err e = db_transaction(db, claim_begun_run_work, &c);
    if (e == OK && redis)
        run_tx_publish(c.run_tx, redis);
    talloc_free(c.ctx);
    return e == OK && c.claimed ? executor_requeue_runs(db, redis, executor, run, 1, max_lost, NULL) : e;
}

/* Requeues runs that one transaction cannot: one that MariaDB refuses does not keep the others. */
static enum err requeue_one_by_one(struct db *db, struct redis *redis, const struct requeue *all)
{
    for (size_t i = 0; i < all->n; i++) {
        struct requeue one = *all;
        one.runs = all->runs + i;
        one.n = 1;
        enum err e = requeue_runs(db, redis, &one);
        if (e == ERR_UNAVAILABLE)
            return e;
        if (e != OK)
            log_error("run.requeue_failed", "execution=%s executor=%llu error=%s", all->runs[i].text,
                      (unsigned long long)all->executor, err_name(e));
    }
    return OK;
}

/* A row that another transaction keeps locked is waited for once; the runs are found again later. */
static enum err requeue_each(struct db *db, struct redis *redis, struct requeue *t)
{
    enum err e = requeue_runs(db, redis, t);
    if (e == OK || e == ERR_UNAVAILABLE || e == ERR_RETRY)
        return e == ERR_RETRY ? OK : e;
    return requeue_one_by_one(db, redis, t);
}

enum err executor_requeue_runs(struct db *db, struct redis *redis, uint64_t executor, const id *runs,
                               size_t n, int max_lost, const struct recover_watch *watch)
{
    enum err e = OK;
    for (size_t done = 0; e == OK && done < n; done += REQUEUE_BATCH_MAX) {
        struct requeue t = {.executor = executor,
                            .runs = runs + done,
                            .n = n - done < REQUEUE_BATCH_MAX ? n - done : REQUEUE_BATCH_MAX,
                            .move = MOVE_REQUEUE_LOST,
                            .max_lost = max_lost,
                            .watch = watch};
        e = n == 1 ? requeue_runs(db, redis, &t) : requeue_each(db, redis, &t);
    }
    return e;
}

/* Lists the next runs of an executor and moves the cursor behind them. */
static enum err list_runs(struct db *db, struct recover_cursor *c, id runs[REQUEUE_BATCH_MAX], size_t *n_r)
{
    static const id lowest = {"00000000-0000-0000-0000-000000000000"};
    void *scratch = talloc_new(NULL);
    struct db_value workspace = db_id(id_is_set(&c->workspace) ? &c->workspace : &lowest),
                    run = db_id(id_is_set(&c->run) ? &c->run : &lowest);
    struct db_value args[] = {db_number(STATE_RUNNING), db_number((int64_t)c->executor), workspace, workspace,
                              run};
    struct db_rows *rows;
    enum err e = db_run(db, scratch, SQL_EXECUTOR_RUNS_AFTER, args, 5, &rows);
    *n_r = e == OK && rows->count <= REQUEUE_BATCH_MAX ? rows->count : 0;
    for (size_t r = 0; r < *n_r; r++) {
        runs[r] = c->run = db_get_id(rows, r, EXECUTOR_RUNS_AFTER_ID);
        c->workspace = db_get_id(rows, r, EXECUTOR_RUNS_AFTER_WORKSPACE_ID);
    }
    talloc_free(scratch);
    return e;
}

enum err executor_release_runs(struct db *db, struct redis *redis, struct recover_cursor *c, size_t *n_r)
{
    id runs[REQUEUE_BATCH_MAX];
    const struct recover_cursor before = *c;
    enum err e = list_runs(db, c, runs, n_r);
    struct requeue t = {.executor = c->executor, .runs = runs, .n = *n_r, .move = MOVE_RELEASE};
    if (e == OK && *n_r > 0)
        e = requeue_runs(db, redis, &t);
    if (e != OK && !err_is_transient(e))
        e = requeue_one_by_one(db, redis, &t);
    if (e != OK)
        *c = before;
    return e;
}

static enum err find_orphans(struct db *db, struct recover_cursor *c)
{
    void *scratch = talloc_new(NULL);
    struct db_value args[] = {db_number(STATE_RUNNING), db_number((int64_t)c->executor)};
    struct db_rows *rows;
    enum err e = db_run(db, scratch, SQL_EXECUTOR_ORPHANS, args, 2, &rows);
    if (e == OK && rows->count == 0)
        e = ERR_NOT_FOUND;
    uint64_t found = e == OK ? (uint64_t)db_int(rows, 0, EXECUTOR_ORPHANS_EXECUTOR_ID) : 0;
    if (e == OK && found != c->executor)
        *c = (struct recover_cursor){.executor = found};
    talloc_free(scratch);
    return e;
}

enum err executor_requeue_orphans(struct db *db, struct redis *redis, struct recover_cursor *c, int max_lost,
                                  const struct recover_watch *watch, size_t *n_r)
{
    id runs[REQUEUE_BATCH_MAX];
    *n_r = 0;
    enum err e = find_orphans(db, c);
    if (e == OK)
        e = list_runs(db, c, runs, n_r);
    struct requeue t = {.executor = c->executor,
                        .runs = runs,
                        .n = *n_r,
                        .move = MOVE_REQUEUE_LOST,
                        .max_lost = max_lost,
                        .watch = watch};
    if (e == OK && *n_r > 0)
        e = requeue_each(db, redis, &t);
    if (e == OK && *n_r < REQUEUE_BATCH_MAX)
        *c = (struct recover_cursor){.executor = c->executor + 1};
    return e;
}
