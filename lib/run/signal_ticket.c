#include "run/signal_ticket.h"

#include <sodium.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "run/run_tx.h"

_Static_assert((int)SIGNAL_TICKET_HASH_SIZE == (int)crypto_hash_sha256_BYTES, "the hash is SHA-256");

enum { ENDED_MAX = 500 /* the LIMIT of signal_ticket_ended.sql */ };

enum err signal_ticket_token(const char *cell, char token_r[SIGNAL_TICKET_TEXT_SIZE])
{
    return cell_make_secret("", cell, token_r, SIGNAL_TICKET_TEXT_SIZE);
}

void signal_ticket_hash(const char *token, uint8_t hash_r[SIGNAL_TICKET_HASH_SIZE])
{
    crypto_hash_sha256(hash_r, (const unsigned char *)token, strlen(token));
}

/* --- making one --- */

struct create {
    const struct signal_ticket_request *request;
    int64_t *limit;
    enum signal_ticket_verdict verdict;
};

static enum err insert_ticket(struct db_tx *tx, const struct signal_ticket_request *q, int64_t now_ms)
{
    struct db_value row[] = {
        [SIGNAL_TICKET_INSERT_SET_HASH] = db_bytes(q->hash, sizeof q->hash),
        [SIGNAL_TICKET_INSERT_SET_ID] = db_id(&q->ticket_id),
        [SIGNAL_TICKET_INSERT_SET_WORKSPACE_ID] = db_id(&q->workspace_id),
        [SIGNAL_TICKET_INSERT_SET_EXECUTION_ID] = db_id(&q->execution_id),
        [SIGNAL_TICKET_INSERT_SET_NAME] = db_text(q->name),
        [SIGNAL_TICKET_INSERT_SET_KEY_ID] = db_id(&q->key_id),
        [SIGNAL_TICKET_INSERT_SET_CREATED_MS] = db_number(now_ms),
        [SIGNAL_TICKET_INSERT_SET_EXPIRES_MS] = db_number(q->expires_ms),
        [SIGNAL_TICKET_INSERT_SET_OPEN_UNTIL_MS] = db_number(q->expires_ms),
        [SIGNAL_TICKET_INSERT_SET_RECIPIENT] = db_bytes(q->recipient.at, q->recipient.size),
        [SIGNAL_TICKET_INSERT_SET_QUESTION] = db_bytes(q->question.at, q->question.size),
        [SIGNAL_TICKET_INSERT_SET_CHOICES] = db_bytes(q->choices.at, q->choices.size),
    };
    return db_run(tx->db, tx->ctx, SQL_SIGNAL_TICKET_INSERT, row, SIGNAL_TICKET_INSERT_SET_COUNT, NULL);
}

static enum err count_tickets(struct db_tx *tx, const struct signal_ticket_request *q, int64_t now_ms,
                              struct db_rows **rows_r)
{
    struct db_value args[] = {db_id(&q->workspace_id), db_number(now_ms), db_id(&q->workspace_id),
                              db_number(q->quota),     db_number(now_ms), db_id(&q->execution_id)};
    return db_run(tx->db, tx->ctx, SQL_SIGNAL_TICKET_COUNTS, args, sizeof args / sizeof *args, rows_r);
}

/* The end of a run does not write to its tickets. Those of runs that have ended are closed here, where they
 * take the room of others. *closed_r: their number. */
static enum err close_ended(struct db_tx *tx, const id *workspace, int64_t now_ms, int64_t *closed_r)
{
    struct db_value args[] = {db_id(workspace), db_number(now_ms)};
    struct db_value hashes[ENDED_MAX];
    struct db_rows *rows;
    *closed_r = 0;
    enum err e = db_run(tx->db, tx->ctx, SQL_SIGNAL_TICKET_ENDED, args, 2, &rows);
    if (e != OK)
        return e;
    for (size_t i = 0; i < rows->count; i++)
        hashes[i] = db_bytes(db_str(rows, i, SIGNAL_TICKET_ENDED_HASH), SIGNAL_TICKET_HASH_SIZE);
    *closed_r = (int64_t)rows->count;
    return db_run_each(tx->db, tx->ctx, SQL_SIGNAL_TICKET_CLOSE, NULL, 0, hashes, 1, rows->count, NULL);
}

/* True if an earlier execution of the transaction has committed. */
static bool is_made(struct db_tx *tx, const uint8_t hash[SIGNAL_TICKET_HASH_SIZE])
{
    struct db_value arg = db_bytes(hash, SIGNAL_TICKET_HASH_SIZE);
    struct db_rows *rows;
    return tx->settling && db_run(tx->db, tx->ctx, SQL_SIGNAL_TICKET_FIND, &arg, 1, &rows) == OK &&
           rows->count > 0;
}

static enum err add_ticket(struct db_tx *tx, struct create *c)
{
    const struct signal_ticket_request *q = c->request;
    int64_t now_ms = clock_wall_ms(), closed = 0;
    struct db_rows *rows;
    if (is_made(tx, q->hash)) {
        c->verdict = SIGNAL_TICKET_MADE;
        return OK;
    }
    enum err e = count_tickets(tx, q, now_ms, &rows);
    if (e != OK)
        return e;
    int64_t limit = db_int(rows, 0, SIGNAL_TICKET_COUNTS_OPEN_MAX);
    int64_t open = db_int(rows, 0, SIGNAL_TICKET_COUNTS_OPEN_OF_WORKSPACE);
    if (db_int(rows, 0, SIGNAL_TICKET_COUNTS_OF_RUN) >= SIGNAL_TICKETS_MAX ||
        db_int(rows, 0, SIGNAL_TICKET_COUNTS_OPEN_OF_RUN) >= SIGNAL_TICKETS_OPEN_MAX) {
        c->verdict = SIGNAL_TICKET_RUN_FULL;
        return OK;
    }
    if (open >= limit && limit > 0)
        e = close_ended(tx, &q->workspace_id, now_ms, &closed);
    if (e == OK && open - closed >= limit) {
        *c->limit = limit;
        c->verdict = SIGNAL_TICKET_QUOTA;
        return OK;
    }
    c->verdict = SIGNAL_TICKET_MADE;
    return e == OK ? insert_ticket(tx, q, now_ms) : e;
}

static enum err create_work(struct db_tx *tx, void *arg)
{
    struct create *c = arg;
    c->verdict = 0;
    struct run_tx *run_tx = run_tx_begin(tx, tx->ctx);
    enum err e = run_tx_lock(run_tx, &c->request->execution_id, 1, NULL, 0);
    struct run *r = e == OK ? run_tx_find(run_tx, &c->request->execution_id) : NULL;
    if (e == OK && (!r || !id_equal(&r->workspace_id, &c->request->workspace_id) || r->kind != KIND_WORKFLOW))
        c->verdict = SIGNAL_TICKET_NO_RUN;
    else if (e == OK && state_is_terminal(r->state))
        c->verdict = SIGNAL_TICKET_RUN_ENDED;
    else if (e == OK)
        e = add_ticket(tx, c);
    if (e == OK && c->verdict == SIGNAL_TICKET_MADE) {
        r->changed = true; /* a lock is known to one server only */
        e = run_tx_flush(run_tx);
    }
    failpoint("signal_ticket.before_commit");
    return e;
}

enum signal_ticket_verdict signal_ticket_create(struct db *db, const struct signal_ticket_request *request,
                                                int64_t *limit_r)
{
    struct create c = {.request = request, .limit = limit_r};
    switch (db_transaction(db, create_work, &c)) {
    case OK:
        failpoint("signal_ticket.after_commit");
        return c.verdict;
    case ERR_UNCERTAIN:
        return SIGNAL_TICKET_UNCERTAIN;
    default:
        return SIGNAL_TICKET_UNAVAILABLE;
    }
}

/* --- using one --- */

enum signal_ticket_state signal_ticket_state(const struct signal_ticket_times *t, int64_t now_ms)
{
    if (t->answered_ms)
        return SIGNAL_TICKET_ANSWERED;
    if (t->run_ended_ms)
        return SIGNAL_TICKET_ENDED;
    if (!t->is_open || t->waits_are_served)
        return SIGNAL_TICKET_WAIT_OVER;
    return now_ms < t->expires_ms ? SIGNAL_TICKET_OPEN : SIGNAL_TICKET_EXPIRED;
}

static const char *text_or_null(const struct db_rows *rows, size_t column)
{
    return db_cell(rows, 0, column)->is_null ? NULL : db_str(rows, 0, column);
}

/* The wait for the ticket's signal, into a ticket whose row was read. */
static enum err find_wait(struct db *db, void *ctx, struct signal_ticket *t, bool *served_r)
{
    struct db_value args[] = {db_id(&t->execution_id), db_id(&t->execution_id), db_text(t->name)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_SIGNAL_TICKET_WAIT, args, 3, &rows);
    t->step = -1;
    *served_r = false;
    if (e != OK || rows->count == 0)
        return e;
    *served_r = db_int(rows, 0, SIGNAL_TICKET_WAIT_IS_GIVEN) != 0;
    t->step = (int)db_int(rows, 0, SIGNAL_TICKET_WAIT_STEP);
    t->wait_due_ms = db_int(rows, 0, SIGNAL_TICKET_WAIT_DUE_MS);
    t->wait_message = text_or_null(rows, SIGNAL_TICKET_WAIT_MESSAGE);
    return OK;
}

enum err signal_ticket_find(struct db *db, void *ctx, const uint8_t hash[SIGNAL_TICKET_HASH_SIZE],
                            struct signal_ticket *ticket_r)
{
    struct db_value arg = db_bytes(hash, SIGNAL_TICKET_HASH_SIZE);
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_SIGNAL_TICKET_FIND, &arg, 1, &rows);
    if (e == OK && rows->count == 0)
        e = ERR_NOT_FOUND;
    if (e != OK)
        return e;
    *ticket_r = (struct signal_ticket){
        .id = db_get_id(rows, 0, SIGNAL_TICKET_FIND_ID),
        .workspace_id = db_get_id(rows, 0, SIGNAL_TICKET_FIND_WORKSPACE_ID),
        .execution_id = db_get_id(rows, 0, SIGNAL_TICKET_FIND_EXECUTION_ID),
        .workflow_id = db_get_id(rows, 0, SIGNAL_TICKET_FIND_RESPONDER_ID),
        .version = (int)db_int(rows, 0, SIGNAL_TICKET_FIND_VERSION),
        .name = db_str(rows, 0, SIGNAL_TICKET_FIND_NAME),
        .expires_ms = db_int(rows, 0, SIGNAL_TICKET_FIND_EXPIRES_MS),
        .answered_ms = db_int(rows, 0, SIGNAL_TICKET_FIND_ANSWERED_MS),
        .recipient = text_or_null(rows, SIGNAL_TICKET_FIND_RECIPIENT),
        .question = text_or_null(rows, SIGNAL_TICKET_FIND_QUESTION),
        .choices = text_or_null(rows, SIGNAL_TICKET_FIND_CHOICES),
    };
    struct signal_ticket_times times = {
        .expires_ms = ticket_r->expires_ms,
        .answered_ms = ticket_r->answered_ms,
        .run_ended_ms = db_int(rows, 0, SIGNAL_TICKET_FIND_ENDED_MS),
        .is_open = !db_cell(rows, 0, SIGNAL_TICKET_FIND_OPEN_UNTIL_MS)->is_null,
    };
    e = find_wait(db, ctx, ticket_r, &times.waits_are_served);
    ticket_r->state = signal_ticket_state(&times, clock_wall_ms());
    return e;
}

enum err signal_ticket_check(struct db_tx *tx, const id *execution,
                             const uint8_t hash[SIGNAL_TICKET_HASH_SIZE], const char *name, bool *ok_r)
{
    struct signal_ticket t;
    enum err e = signal_ticket_find(tx->db, tx->ctx, hash, &t);
    *ok_r = e == OK && t.state == SIGNAL_TICKET_OPEN && id_equal(&t.execution_id, execution) &&
            strcmp(t.name, name) == 0;
    return e == ERR_NOT_FOUND ? OK : e;
}

enum err signal_ticket_answered(struct db_tx *tx, const uint8_t hash[SIGNAL_TICKET_HASH_SIZE],
                                const id *signal, int64_t now_ms)
{
    struct db_value args[] = {db_number(now_ms), db_id(signal), db_bytes(hash, SIGNAL_TICKET_HASH_SIZE)};
    return db_run(tx->db, tx->ctx, SQL_SIGNAL_TICKET_ANSWER, args, 3, NULL);
}
