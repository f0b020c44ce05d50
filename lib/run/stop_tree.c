#include "run/stop_tree.h"

#include <talloc.h>

#include "account/account.h"
#include "base/failpoint.h"
#include "base/log.h"

/* After a slice that failed. */
enum { DEFER_MS = 2000 };

enum err run_stop_locked(struct run_tx *run_tx, const struct run *top, int64_t at_ms, const char *error)
{
    const struct run_move move = {.move = MOVE_STOP, .at_ms = at_ms, .error = error};
    enum err e = OK;
    for (size_t i = 0; e == OK && i < run_tx_count(run_tx); i++) {
        struct run *r = run_tx_at(run_tx, i);
        if ((!top || r->depth > top->depth) && !state_is_terminal(r->state))
            e = run_move(run_tx, r, &move);
    }
    return e;
}

enum err run_stop_others(struct run_tx *run_tx, const struct run *top, bool all, int64_t at_ms)
{
    static const char error[] = "the run that started it has ended";
    if (all)
        return run_stop_locked(run_tx, top, at_ms, error);
    run_tx_mark_stop(run_tx, top, at_ms, error);
    return OK;
}

/* --- slices --- */

struct slice {
    /* NULL: any. */
    const id *wanted;
    void *ctx;
    struct run_tx *run_tx;
    /* Not set: no mark was found. */
    id top;
};

static enum err stop_slice_work(struct db_tx *tx, void *arg)
{
    struct slice *s = arg;
    struct db_value wanted = s->wanted ? db_id(s->wanted) : db_number(0);
    struct db_rows *rows;
    struct account *account;
    size_t account_n;
    bool all;
    s->run_tx = NULL;
    s->top = (id){0};
    enum err e = db_run(tx->db, tx->ctx, s->wanted ? SQL_STOPS_NEXT_OF : SQL_STOPS_NEXT, &wanted,
                        s->wanted != NULL, &rows);
    if (e == OK && rows->count == 0)
        return ERR_NOT_FOUND;
    if (e != OK)
        return e;
    s->top = db_get_id(rows, 0, STOPS_NEXT_EXECUTION_ID);
    id workspace = db_get_id(rows, 0, STOPS_NEXT_WORKSPACE_ID);
    s->run_tx = run_tx_begin(tx, s->ctx);
    /* waits for the account, which run_tx_lock_slice does not: nothing else depends on this transaction */
    e = account_lock(tx, tx->ctx, &workspace, 1, &account, &account_n);
    if (e == OK)
        e = run_tx_lock_slice(s->run_tx, &workspace, &s->top, &all);
    if (e == OK)
        e = run_stop_locked(s->run_tx, NULL, db_int(rows, 0, STOPS_NEXT_AT_MS),
                            db_str(rows, 0, STOPS_NEXT_ERROR));
    if (e == OK)
        e = run_tx_flush(s->run_tx);
    if (e == OK && all) {
        struct db_value top = db_id(&s->top);
        e = db_run(tx->db, tx->ctx, SQL_STOPS_DONE, &top, 1, NULL);
    }
    failpoint("stop.slice_before_commit");
    return e;
}

enum err stop_slice(struct db *db, struct redis *redis, const id *top, size_t *n_r)
{
    struct slice s = {.wanted = top, .ctx = talloc_new(NULL)};
    enum err e = db_transaction(db, stop_slice_work, &s);
    failpoint("stop.slice_after_commit");
    *n_r = e == OK ? run_tx_count(s.run_tx) : 0;
    if (e == OK && redis)
        run_tx_publish(s.run_tx, redis);
    if (e != OK && e != ERR_NOT_FOUND && e != ERR_UNAVAILABLE && id_is_set(&s.top)) {
        struct db_value defer[] = {db_number(DEFER_MS), db_id(&s.top)};
        log_warn("stop.slice_failed", "execution=%s error=%s", s.top.text, err_name(e));
        if (db_run(db, s.ctx, SQL_STOPS_DEFER, defer, 2, NULL) != OK)
            log_warn("stop.defer_failed", "execution=%s", s.top.text);
    }
    talloc_free(s.ctx);
    return e;
}
