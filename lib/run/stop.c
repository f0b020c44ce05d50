#include "run/stop.h"

#include <talloc.h>

#include "account/idempotency.h"
#include "base/clock.h"
#include "base/failpoint.h"

struct stop {
    const struct stop_request *q;
    void *ctx;
    struct run_writes *writes;
    enum stop_verdict verdict;
    struct run_answer *answer;
};

/* The key is looked up before the target is: a replayed stop is 200 again. */
static enum err find_key(struct db_tx *tx, struct stop *s, struct account *account)
{
    struct idempotency_key key = {s->q->workspace_id, s->q->idempotency_key, s->q->fingerprint};
    enum run_verdict verdict = 0;
    if (!key.key.at)
        return OK;
    enum err e = idempotency_find(tx, s->ctx, &key, 1, &verdict, s->answer);
    if (e != OK || verdict == 0)
        return e;
    s->verdict = verdict == RUN_KEY_REUSED ? STOP_KEY_REUSED : tx->settling ? STOP_DONE : STOP_REPLAYED;
    account->touched = true;
    return account_write(tx, account, 1);
}

static enum err store_key(struct db_tx *tx, const struct stop *s)
{
    struct idempotency_key key = {s->q->workspace_id, s->q->idempotency_key, s->q->fingerprint};
    struct run_answer first = {
        .execution_id = s->q->execution_id, .status = s->q->status, .body = s->q->body};
    return key.key.at ? idempotency_store(tx, &key, 1, &first) : OK;
}

static enum err stop_all(struct stop *s)
{
    struct run_writes *w = s->writes;
    struct run_move move = {
        .move = MOVE_STOP, .at_ms = s->q->at_ms ? s->q->at_ms : clock_wall_ms(), .error = s->q->error};
    enum err e = OK;
    for (size_t i = 0; e == OK && i < run_writes_count(w); i++) {
        if (!state_is_terminal(run_writes_at(w, i)->state))
            e = run_move(w, run_writes_at(w, i), &move);
    }
    return e;
}

static enum err stop_work(struct db_tx *tx, void *arg)
{
    struct stop *s = arg;
    struct account *account;
    size_t n;
    s->verdict = 0;
    s->writes = NULL;
    *s->answer =
        (struct run_answer){.execution_id = s->q->execution_id, .status = s->q->status, .body = s->q->body};
    enum err e = account_lock(tx, tx->ctx, &s->q->workspace_id, 1, &account, &n);
    if (e == OK && n == 0)
        return ERR_NOT_FOUND;
    if (e == OK)
        e = find_key(tx, s, account);
    if (e != OK || s->verdict)
        return e;
    s->writes = run_writes_begin(tx, s->ctx);
    e = run_writes_lock_tree(s->writes, &s->q->workspace_id, &s->q->execution_id);
    if (e != OK)
        return e;
    const struct run *top = run_writes_find(s->writes, &s->q->execution_id);
    if (!top || (s->q->kind && top->kind != s->q->kind))
        return ERR_NOT_FOUND;
    /* The commit whose answer was lost had been done; a keyed one would have been found by its key. */
    if (tx->settling && top->state == STATE_STOPPED && !s->q->idempotency_key.at) {
        s->verdict = STOP_DONE;
        account->touched = true;
        return account_write(tx, account, 1);
    }
    if (state_is_terminal(top->state)) {
        s->verdict = STOP_TERMINAL;
        return OK;
    }
    e = stop_all(s);
    if (e == OK)
        e = run_writes_flush(s->writes);
    if (e == OK)
        e = store_key(tx, s);
    s->verdict = STOP_DONE;
    return e;
}

enum stop_verdict stop_run(struct db *db, struct redis *redis, void *ctx, const struct stop_request *request,
                           struct run_answer *answer_r)
{
    struct stop s = {.q = request, .ctx = ctx, .answer = answer_r};
    switch (db_transaction(db, stop_work, &s)) {
    case OK:
        crash_point("stop.after_commit");
        if (s.verdict == STOP_DONE && s.writes && redis)
            run_writes_publish(s.writes, redis);
        return s.verdict;
    case ERR_NOT_FOUND:
        return STOP_NOT_FOUND;
    case ERR_UNCERTAIN:
        return STOP_UNCERTAIN;
    default:
        return STOP_UNAVAILABLE;
    }
}
