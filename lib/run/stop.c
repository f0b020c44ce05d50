#include "run/stop.h"

#include <talloc.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "deed/deed.h"
#include "run/bulk_item.h"
#include "run/run_counts.h"
#include "run/stop_tree.h"

enum {
    /* How long the request that stops a large tree stops slices of it before it is answered. */
    SLICES_MS = 1000,
};

struct stop {
    const struct stop_request *request;
    void *ctx;
    struct run_tx *run_tx;
    enum stop_verdict verdict;
    struct idempotency_match *replay;
    /* False: the top is marked, and slices follow. */
    bool all;
};

/* The key is looked up before the run, because the run has ended when a stop is replayed. */
static enum err stop_find_key(struct db_tx *tx, struct stop *s)
{
    struct idempotency_key key = {s->request->workspace_id, s->request->idempotency_key,
                                  s->request->fingerprint};
    if (!key.key.at)
        return OK;
    enum err e = idempotency_find(tx, s->ctx, &key, 1, s->replay);
    if (e != OK || s->replay->state == IDEMPOTENCY_FREE)
        return e;
    s->verdict = s->replay->state == IDEMPOTENCY_REUSED ? STOP_KEY_REUSED
                 : tx->settling                         ? STOP_DONE
                                                        : STOP_REPLAYED;
    return OK;
}

static enum err store_key(struct db_tx *tx, const struct stop *s)
{
    const struct stop_request *request = s->request;
    const struct idempotency_entry entry = {
        .key = {request->workspace_id, request->idempotency_key, request->fingerprint},
        .execution_id = request->execution_id,
        .response = request->first_response,
    };
    return entry.key.key.at ? idempotency_store(tx, &entry, 1) : OK;
}

/* Why the locked run is not stopped; 0: it is. */
static enum stop_verdict find_obstacle(const struct db_tx *tx, const struct stop_request *request,
                                       const struct run *top)
{
    /* The commit whose response was lost had succeeded. A request with a key was found by its key above. */
    if (tx->settling && top->state == STATE_STOPPED && !request->idempotency_key.at)
        return STOP_DONE;
    if (state_is_terminal(top->state))
        return STOP_TERMINAL;
    return request->only_states && !(request->only_states & 1U << top->state) ? STOP_NOT_MATCHED : 0;
}

/* What is written beside the runs. */
static enum err store_outcome(struct db_tx *tx, const struct stop *s)
{
    const struct stop_request *request = s->request;
    const struct bulk_decision done = {.execution_id = request->execution_id, .outcome = BULK_DONE};
    enum err e = store_key(tx, s);
    if (e == OK)
        e = deed_record(tx, "execution.stop", &request->workspace_id, request->execution_id.text, NULL);
    if (e == OK && id_is_set(&request->bulk_job_id))
        e = bulk_items_decide(tx, &request->bulk_job_id, &done, 1);
    return e;
}

static enum err stop_run_work(struct db_tx *tx, void *arg)
{
    struct stop *s = arg;
    struct account *account;
    size_t n;
    s->verdict = 0;
    s->run_tx = NULL;
    enum err e = account_lock(tx, tx->ctx, &s->request->workspace_id, 1, &account, &n);
    if (e == OK && n == 0)
        return ERR_NOT_FOUND;
    if (e == OK)
        e = stop_find_key(tx, s);
    if (e != OK || s->verdict)
        return e;
    s->run_tx = run_tx_begin(tx, s->ctx);
    s->all = true;
    e = run_tx_lock_tree(s->run_tx, &s->request->workspace_id, &s->request->execution_id, NULL, 0, &s->all);
    if (e != OK)
        return e;
    const struct run *top = run_tx_find(s->run_tx, &s->request->execution_id);
    if (!top || (s->request->kind && top->kind != s->request->kind))
        return ERR_NOT_FOUND;
    s->verdict = find_obstacle(tx, s->request, top);
    if (s->verdict)
        return OK;
    int64_t at_ms = s->request->at_ms ? s->request->at_ms : clock_wall_ms();
    e = run_stop_locked(s->run_tx, NULL, at_ms, s->request->error);
    if (e == OK && !s->all)
        run_tx_mark_stop(s->run_tx, top, at_ms, s->request->error);
    if (e == OK)
        e = run_tx_flush(s->run_tx);
    if (e == OK)
        e = store_outcome(tx, s);
    s->verdict = STOP_DONE;
    return e;
}

/* What is left is continued by an executor (executor/lease/maintenance_timer.c). */
static void stop_slices(struct db *db, struct redis *redis, const id *top)
{
    int64_t until_ms = clock_boot_ms() + SLICES_MS;
    enum err e = OK;
    for (size_t n; e == OK && clock_boot_ms() < until_ms;)
        e = stop_slice(db, redis, top, &n);
}

enum err stop_err(enum stop_verdict verdict)
{
    switch (verdict) {
    case STOP_NOT_FOUND:
        return ERR_NOT_FOUND;
    case STOP_UNAVAILABLE:
        return ERR_UNAVAILABLE;
    case STOP_FROZEN:
        return ERR_FROZEN;
    case STOP_UNCERTAIN:
        return ERR_UNCERTAIN;
    default:
        return ERR_INTERNAL;
    }
}

enum stop_verdict stop_run(struct db *db, struct redis *redis, void *ctx, const struct stop_request *request,
                           struct idempotency_match *replay_r)
{
    struct stop s = {.request = request, .ctx = ctx, .replay = replay_r};
    switch (db_transaction(db, stop_run_work, &s)) {
    case OK:
        failpoint("stop.after_commit");
        if (s.verdict == STOP_DONE && s.run_tx && redis)
            run_tx_publish(s.run_tx, redis);
        run_counts_flush(db);
        if (s.verdict == STOP_DONE && s.run_tx && !s.all && !id_is_set(&request->bulk_job_id))
            stop_slices(db, redis, &request->execution_id);
        return s.verdict;
    case ERR_NOT_FOUND:
        return STOP_NOT_FOUND;
    case ERR_FROZEN:
        return STOP_FROZEN;
    case ERR_UNCERTAIN:
        return STOP_UNCERTAIN;
    case ERR_INTERNAL:
        return STOP_FAILED;
    default:
        return STOP_UNAVAILABLE;
    }
}
