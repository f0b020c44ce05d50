#include "run/signal.h"

#include <talloc.h>

#include "account/account.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "run/run_tx.h"
#include "run/signal_ticket.h"

struct send {
    const struct signal_request *request;
    void *ctx;
    struct idempotency_match *replay;
    enum signal_verdict verdict;
};

static enum err find_key(struct db_tx *tx, struct send *s)
{
    struct idempotency_key key = {s->request->workspace_id, s->request->idempotency_key,
                                  s->request->fingerprint};
    struct account *account;
    size_t n;
    if (!key.key.at)
        return OK;
    enum err e = account_lock(tx, tx->ctx, &s->request->workspace_id, 1, &account, &n);
    if (e == OK && n == 0)
        return ERR_NOT_FOUND;
    if (e == OK)
        e = idempotency_find(tx, s->ctx, &key, 1, s->replay);
    if (e == OK && s->replay->state != IDEMPOTENCY_FREE)
        s->verdict = s->replay->state == IDEMPOTENCY_REUSED ? SIGNAL_KEY_REUSED : SIGNAL_REPLAYED;
    return e;
}

static enum err store_key(struct db_tx *tx, const struct send *s)
{
    const struct signal_request *request = s->request;
    const struct idempotency_entry entry = {
        .key = {request->workspace_id, request->idempotency_key, request->fingerprint},
        .execution_id = request->execution_id,
        .response = s->verdict == SIGNAL_DELIVERED ? request->delivered : request->kept,
    };
    return entry.key.key.at ? idempotency_store(tx, &entry, 1) : OK;
}

static enum err wake_run(struct db_tx *tx, const struct run *r)
{
    struct db_value head = db_number(WAIT_SIGNAL);
    struct db_value run = db_id(&r->id);
    return db_run_each(tx->db, tx->ctx, SQL_WAITS_WAKE, &head, 1, &run, 1, 1, NULL);
}

/* A signal that came while the run was not parked is kept: the transaction that parks the run looks for it.
 * An answer of a ticket is refused if the run waits for it but is not parked at the moment: the wait may end
 * by its timeout before the run is parked again, although the person was thanked. */
static enum err store_signal(struct db_tx *tx, struct send *s, const struct run *r, int64_t seq)
{
    const struct signal_request *request = s->request;
    struct db_value find[] = {db_id(&r->id), db_text(request->name)};
    struct db_rows *waits = NULL;
    bool looks = r->parked || request->ticket;
    enum err e = looks ? db_run(tx->db, tx->ctx, SQL_SIGNAL_WAITS_FIND, find, 2, &waits) : OK;
    bool given = e == OK && waits && waits->count > 0;
    if (given && !r->parked) {
        s->verdict = SIGNAL_UNAVAILABLE;
        return OK;
    }
    struct db_value row[] = {
        [SIGNALS_INSERT_SET_EXECUTION_ID] = db_id(&r->id),
        [SIGNALS_INSERT_SET_SEQ] = db_number(seq),
        [SIGNALS_INSERT_SET_ID] = db_id(&request->signal_id),
        [SIGNALS_INSERT_SET_NAME] = db_text(request->name),
        [SIGNALS_INSERT_SET_STATE] = db_number(given),
        [SIGNALS_INSERT_SET_STEP] = given ? db_number(db_int(waits, 0, SIGNAL_WAITS_FIND_STEP)) : db_null(),
        [SIGNALS_INSERT_SET_ITEM] = given ? db_number(db_int(waits, 0, SIGNAL_WAITS_FIND_ITEM)) : db_null(),
        [SIGNALS_INSERT_SET_AT_MS] = db_number(clock_wall_ms()),
        [SIGNALS_INSERT_SET_SENDER] = db_bytes(request->sender.at, request->sender.size),
        [SIGNALS_INSERT_SET_DATA] = db_bytes(request->data.at, request->data.size),
    };
    s->verdict = given ? SIGNAL_DELIVERED : SIGNAL_KEPT;
    if (e == OK)
        e = db_run(tx->db, tx->ctx, SQL_SIGNALS_INSERT, row, SIGNALS_INSERT_SET_COUNT, NULL);
    return e == OK && given ? wake_run(tx, r) : e;
}

static enum err add_signal(struct db_tx *tx, struct send *s, const struct run *r)
{
    struct db_value args[] = {db_id(&s->request->signal_id), db_id(&r->id)};
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_SIGNALS_COUNT, args, 2, &rows);
    if (e != OK)
        return e;
    if (tx->settling && db_int(rows, 0, SIGNALS_COUNT_FOUND)) {
        s->verdict = SIGNAL_DELIVERED; /* an earlier execution has committed */
        return OK;
    }
    if (state_is_terminal(r->state)) {
        s->verdict = SIGNAL_ENDED;
        return OK;
    }
    bool ticket_ok = true;
    if (s->request->ticket)
        e = signal_ticket_check(tx, &r->id, s->request->ticket, s->request->name, &ticket_ok);
    if (e != OK || !ticket_ok) {
        s->verdict = SIGNAL_TICKET_OVER;
        return e;
    }
    if (db_int(rows, 0, SIGNALS_COUNT_LAST) >= SIGNALS_TOTAL_MAX) {
        s->verdict = SIGNAL_EXHAUSTED;
        return OK;
    }
    if (db_int(rows, 0, SIGNALS_COUNT_N) >= SIGNALS_MAX ||
        db_int(rows, 0, SIGNALS_COUNT_BYTES) + (int64_t)s->request->data.size > SIGNALS_BYTES_MAX) {
        s->verdict = SIGNAL_FULL;
        return OK;
    }
    e = store_signal(tx, s, r, db_int(rows, 0, SIGNALS_COUNT_LAST) + 1);
    if (e != OK || s->verdict == SIGNAL_UNAVAILABLE)
        return e;
    if (s->request->ticket)
        e = signal_ticket_answered(tx, s->request->ticket, &s->request->signal_id, clock_wall_ms());
    return e == OK ? store_key(tx, s) : e;
}

static enum err send_work(struct db_tx *tx, void *arg)
{
    struct send *s = arg;
    s->verdict = 0;
    enum err e = find_key(tx, s);
    if (e != OK || s->verdict)
        return e;
    struct run_tx *run_tx = run_tx_begin(tx, tx->ctx);
    e = run_tx_lock(run_tx, &s->request->execution_id, 1, NULL, 0);
    struct run *r = e == OK ? run_tx_find(run_tx, &s->request->execution_id) : NULL;
    if (e == OK && (!r || !id_equal(&r->workspace_id, &s->request->workspace_id) || r->kind != KIND_WORKFLOW))
        e = ERR_NOT_FOUND;
    if (e == OK)
        e = add_signal(tx, s, r);
    /* A lock is known to one server only, and while settling a change flushes the log. */
    if (e == OK && (tx->settling || !state_is_terminal(r->state))) {
        r->changed = true;
        e = run_tx_flush(run_tx);
    }
    failpoint("signal.before_commit");
    return e;
}

enum signal_verdict signal_send(struct db *db, void *ctx, const struct signal_request *request,
                                struct idempotency_match *replay_r)
{
    struct send s = {.request = request, .ctx = ctx, .replay = replay_r};
    switch (db_transaction(db, send_work, &s)) {
    case OK:
        failpoint("signal.after_commit");
        return s.verdict;
    case ERR_NOT_FOUND:
        return SIGNAL_NOT_FOUND;
    case ERR_UNCERTAIN:
        return SIGNAL_UNCERTAIN;
    default:
        return SIGNAL_UNAVAILABLE;
    }
}

enum err signal_find_wait(struct db *db, void *ctx, const id *execution, const char *name, int *step_r)
{
    struct db_value find[] = {db_id(execution), db_text(name)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_SIGNAL_WAITS_FIND, find, 2, &rows);
    *step_r = e == OK && rows->count > 0 ? (int)db_int(rows, 0, SIGNAL_WAITS_FIND_STEP) : -1;
    return e;
}
