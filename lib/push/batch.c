#include "push/batch.h"

#include <talloc.h>

#include "base/backoff.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "billing/ledger_numbers.h"
#include "secret/seal.h"

enum {
    FIRST_PAUSE_MS = 1000,
    /* An answer may ask for a longer pause than the setting, but for no longer one than this. */
    RETRY_AFTER_MAX_MS = 3600000,
    /* The back-off does not grow after so many failures. */
    FAILURES_MAX = 30,
};

_Static_assert(PUSH_ROWS >= 2 * LEDGER_NUMBERS_ROWS, "a batch has the rows of a whole number");

enum push_outcome push_outcome_of(int status)
{
    if (status >= 200 && status < 300)
        return PUSH_ACCEPTED;
    return status == 400 || status == 409 || status == 413 || status == 422 ? PUSH_REJECTED : PUSH_LATER;
}

/* --- claiming --- */

struct claiming {
    void *ctx;
    const uint8_t *key;
    int64_t timeout_ms;
    const id *push;
    /* NULL: nothing is to be sent. */
    struct push_batch *batch;
    /* The cursor has passed rows. */
    bool passed;
    /* Something is left to programs of a later version. */
    bool left;
};

/* What is read of a locked destination, and up to where. */
struct window {
    uint32_t kinds;
    int64_t number, alone_to, after, to;
    bool is_again;
};

static enum err find_window(struct db_tx *tx, const id *push, const struct db_rows *locked, struct window *w)
{
    struct db_value one = db_id(push);
    struct db_rows *aside;
    enum err e = db_run(tx->db, tx->ctx, SQL_PUSH_ASIDE_NEXT, &one, 1, &aside);
    if (e != OK)
        return e;
    *w = (struct window){.kinds = (uint32_t)db_int(locked, 0, PUSH_LOCK_KINDS),
                         .number = db_int(locked, 0, PUSH_LOCK_NUMBER),
                         .alone_to = db_int(locked, 0, PUSH_LOCK_ALONE_TO),
                         .is_again = aside->count > 0};
    w->after = w->is_again ? db_int(aside, 0, PUSH_ASIDE_NEXT_FIRST) - 1 : w->number;
    w->to = w->is_again ? db_int(aside, 0, PUSH_ASIDE_NEXT_LAST) : INT64_MAX;
    return OK;
}

/* Rows of whole numbers: how many of `rows` these are, 0 if there is none. The last number is not whole if
 * the limit has cut it off. */
static size_t whole_numbers(const struct db_rows *rows, bool is_cut, bool is_alone)
{
    size_t n = rows->count;
    if (n == 0)
        return 0;
    int64_t first = db_int(rows, 0, PUSH_ROWS_NUMBER), last = db_int(rows, n - 1, PUSH_ROWS_NUMBER);
    while (n > 0 && ((is_cut && db_int(rows, n - 1, PUSH_ROWS_NUMBER) == last) ||
                     (is_alone && db_int(rows, n - 1, PUSH_ROWS_NUMBER) > first)))
        n--;
    return n;
}

/* Rows of the ledger among rows with parts: those that are not a further part of the row before. */
static size_t count_rows(const struct db_rows *rows)
{
    size_t n = 0;
    for (size_t i = 0; i < rows->count; i++) {
        id here = db_get_id(rows, i, PUSH_ROWS_ID);
        id before = i > 0 ? db_get_id(rows, i - 1, PUSH_ROWS_ID) : (id){{0}};
        n += !id_equal(&here, &before);
    }
    return n;
}

static enum err open_secret(struct push_batch *b, const uint8_t *key, const struct db_rows *rows)
{
    const struct db_cell *nonce = db_cell(rows, 0, PUSH_LOCK_NONCE),
                         *sealed = db_cell(rows, 0, PUSH_LOCK_SEALED);
    char *secret = NULL;
    size_t size;
    if (b->auth == PUSH_AUTH_NONE)
        return OK;
    enum err e = !key || nonce->is_null || sealed->is_null
                     ? ERR_DENIED
                     : secret_open(b, key, &b->push_id, PUSH_SEAL_NAME, (const uint8_t *)nonce->text,
                                   nonce->size, (const uint8_t *)sealed->text, sealed->size, &secret, &size);
    if (e != OK) {
        log_error("push.secret_decrypt_failed", "destination=%s", b->name);
        return OK; /* the batch fails, which shows */
    }
    b->secret = secret;
    return OK;
}

static enum err claim_batch(struct db_tx *tx, struct claiming *c, const struct db_rows *locked,
                            struct push_batch *b)
{
    int64_t until_ms = db_int(locked, 0, PUSH_LOCK_NOW_MS) + c->timeout_ms + PUSH_LEASE_MS;
    struct db_value args[] = {db_number(until_ms), db_id(&b->claim), db_id(c->push)};
    b->push_id = *c->push;
    b->name = talloc_strdup(b, db_str(locked, 0, PUSH_LOCK_NAME));
    b->url = talloc_strdup(b, db_str(locked, 0, PUSH_LOCK_URL));
    b->auth = (enum push_auth)db_int(locked, 0, PUSH_LOCK_AUTH);
    enum err e = open_secret(b, c->key, locked);
    c->batch = b;
    return e == OK ? db_run(tx->db, tx->ctx, SQL_PUSH_CLAIM, args, 3, NULL) : e;
}

/* Rows that are set aside and are gone, because their month was rolled up, are set aside no more. */
static enum err pass(struct db_tx *tx, struct claiming *c, const struct window *w, int64_t last)
{
    struct db_value number[] = {db_number(last), db_id(c->push)},
                    aside[] = {db_id(c->push), db_number(w->to)};
    c->passed = true;
    return w->is_again ? db_run(tx->db, tx->ctx, SQL_PUSH_ASIDE_DELETE, aside, 2, NULL)
                       : db_run(tx->db, tx->ctx, SQL_PUSH_PASS, number, 2, NULL);
}

static enum err claim_work(struct db_tx *tx, void *arg)
{
    struct claiming *c = arg;
    struct db_value one = db_id(c->push);
    struct db_rows *locked, *rows;
    struct window w;
    TALLOC_FREE(c->batch);
    c->passed = c->left = false;
    enum err e = db_run(tx->db, tx->ctx, SQL_PUSH_LOCK, &one, 1, &locked);
    if (e != OK || locked->count == 0)
        return e;
    c->left = db_int(locked, 0, PUSH_LOCK_AUTH) > PUSH_AUTH_SIGNATURE;
    if (c->left)
        return OK;
    e = find_window(tx, c->push, locked, &w);
    if (e != OK)
        return e;
    struct db_value args[] = {db_number(w.after), db_number(w.to), db_number(PUSH_ROWS + 1)};
    e = db_run(tx->db, tx->ctx, SQL_PUSH_ROWS, args, 3, &rows);
    if (e != OK || (rows->count == 0 && !w.is_again))
        return e;
    size_t n = whole_numbers(rows, count_rows(rows) > PUSH_ROWS, !w.is_again && w.after < w.alone_to);
    if (n == 0 && rows->count > 0)
        return ERR_INTERNAL;
    size_t before = push_rows_before_left(rows, n, w.kinds);
    c->left = before < n;
    if (c->left && (w.is_again || before == 0))
        return OK;
    n = before;
    struct push_batch *b = talloc_zero(c->ctx, struct push_batch);
    b->claim = id_new();
    b->is_again = w.is_again;
    b->first = w.is_again ? w.after + 1 : n > 0 ? db_int(rows, 0, PUSH_ROWS_NUMBER) : 0;
    b->last = w.is_again ? w.to : n > 0 ? db_int(rows, n - 1, PUSH_ROWS_NUMBER) : 0;
    b->is_single = n > 0 && db_int(rows, 0, PUSH_ROWS_NUMBER) == db_int(rows, n - 1, PUSH_ROWS_NUMBER);
    b->body = push_events(b, rows, n, w.kinds, &b->rows_n, &b->body_size);
    if (b->rows_n > 0)
        return claim_batch(tx, c, locked, b);
    e = pass(tx, c, &w, b->last);
    talloc_free(b);
    return e;
}

enum err push_claim(struct db *db, void *ctx, const uint8_t *key, int64_t timeout_ms, size_t most,
                    struct push_batch **list_r, struct push_round *round_r)
{
    void *scratch = talloc_new(NULL);
    struct db_rows *rows;
    *round_r = (struct push_round){0};
    enum err e = db_run(db, scratch, SQL_PUSH_DUE, NULL, 0, &rows);
    for (size_t i = 0; e == OK && i < rows->count && round_r->n < most; i++) {
        id push = db_get_id(rows, i, PUSH_DUE_ID);
        struct claiming c = {.ctx = ctx, .key = key, .timeout_ms = timeout_ms, .push = &push};
        e = db_transaction(db, claim_work, &c);
        if (e != OK) {
            TALLOC_FREE(c.batch);
            break;
        }
        if (c.batch)
            list_r[round_r->n++] = c.batch;
        round_r->more = round_r->more || c.passed;
        round_r->left = round_r->left || c.left;
    }
    talloc_free(scratch);
    return e;
}

/* --- results --- */

struct finishing {
    const struct push_batch *b;
    int64_t pause_max_ms;
};

/* What is written to the destination. */
struct result {
    int64_t number, alone_to, due_ms, failures, failing_since_ms, sent_ms, sent_rows;
    const char *error;
};

static int64_t pause_ms(const struct finishing *f, int64_t failures)
{
    int64_t most = f->pause_max_ms > FIRST_PAUSE_MS ? f->pause_max_ms : FIRST_PAUSE_MS;
    int64_t pause = backoff_ms(FIRST_PAUSE_MS, failures < FAILURES_MAX ? (int)failures : FAILURES_MAX, most);
    int64_t asked =
        f->b->retry_after_ms < RETRY_AFTER_MAX_MS ? f->b->retry_after_ms : (int64_t)RETRY_AFTER_MAX_MS;
    return asked > pause ? asked : pause;
}

static enum err put_aside(struct db_tx *tx, const struct push_batch *b, int64_t now_ms)
{
    struct db_value v[PUSH_ASIDE_PUT_SET_COUNT] = {
        [PUSH_ASIDE_PUT_SET_PUSH_ID] = db_id(&b->push_id),
        [PUSH_ASIDE_PUT_SET_LAST] = db_number(b->last),
        [PUSH_ASIDE_PUT_SET_FIRST] = db_number(b->first),
        [PUSH_ASIDE_PUT_SET_N] = db_number((int64_t)b->rows_n),
        [PUSH_ASIDE_PUT_SET_STATUS] = db_number(b->status),
        [PUSH_ASIDE_PUT_SET_ANSWER] = b->answer ? db_bytes(b->answer, b->answer_size) : db_null(),
        [PUSH_ASIDE_PUT_SET_AT_MS] = db_number(now_ms),
    };
    return db_run_each(tx->db, tx->ctx, SQL_PUSH_ASIDE_PUT, NULL, 0, v, PUSH_ASIDE_PUT_SET_COUNT, 1, NULL);
}

/* The destination answers, so it does not fail. */
static enum err settle_rows(struct db_tx *tx, const struct finishing *f, struct result *r, int64_t now_ms)
{
    const struct push_batch *b = f->b;
    struct db_value aside[] = {db_id(&b->push_id), db_number(b->last)};
    bool accepted = push_outcome_of(b->status) == PUSH_ACCEPTED;
    r->failures = r->failing_since_ms = 0;
    r->due_ms = 0;
    if (!accepted && !b->is_single && !b->is_again) {
        r->alone_to = b->last; /* to find out which number is at fault */
        return OK;
    }
    if (!b->is_again)
        r->number = b->last;
    if (!accepted)
        return put_aside(tx, b, now_ms);
    r->sent_ms = now_ms;
    r->sent_rows = (int64_t)b->rows_n;
    r->error = NULL;
    return b->is_again ? db_run(tx->db, tx->ctx, SQL_PUSH_ASIDE_DELETE, aside, 2, NULL) : OK;
}

static enum err write_result(struct db_tx *tx, const struct push_batch *b, const struct result *r)
{
    struct db_value args[] = {db_number(r->number),
                              db_number(r->alone_to),
                              db_number(r->due_ms),
                              db_number(r->failures),
                              db_number_or_null(r->failing_since_ms, r->failing_since_ms > 0),
                              db_number_or_null(b->status, b->status > 0),
                              db_text(r->error),
                              db_number_or_null(r->sent_ms, r->sent_ms > 0),
                              db_number(r->sent_rows),
                              db_id(&b->push_id)};
    return db_run(tx->db, tx->ctx, SQL_PUSH_FINISH, args, sizeof args / sizeof args[0], NULL);
}

static enum err finish_work(struct db_tx *tx, void *arg)
{
    const struct finishing *f = arg;
    struct db_value args[] = {db_id(&f->b->push_id), db_id(&f->b->claim)};
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_PUSH_CLAIMED, args, 2, &rows);
    if (e != OK || rows->count == 0)
        return e;
    int64_t now_ms = db_int(rows, 0, PUSH_CLAIMED_NOW_MS);
    int64_t since_ms = db_int(rows, 0, PUSH_CLAIMED_FAILING_SINCE_MS);
    struct result r = {.failures = db_int(rows, 0, PUSH_CLAIMED_FAILURES) + 1,
                       .failing_since_ms = since_ms > 0 ? since_ms : now_ms,
                       .error = f->b->error};
    r.due_ms = now_ms + pause_ms(f, r.failures);
    if (f->b->status > 0 && push_outcome_of(f->b->status) != PUSH_LATER)
        e = settle_rows(tx, f, &r, now_ms);
    failpoint("push.before_commit");
    return e == OK ? write_result(tx, f->b, &r) : e;
}

enum err push_finish(struct db *db, const struct push_batch *b, int64_t pause_max_ms)
{
    struct finishing f = {b, pause_max_ms};
    return db_transaction(db, finish_work, &f);
}
