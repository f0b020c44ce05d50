#include "account/once.h"

#include <string.h>

struct once_call {
    struct once *once;
    db_work *work;
    void *arg;
    /* an earlier run of the transaction got as far as its COMMIT */
    bool responded;
};

static struct span stored_body(const struct once *o)
{
    return o->stored_body.at ? o->stored_body : o->response.body;
}

static enum err find_key(struct db_tx *tx, struct once *o)
{
    const struct idempotency_key key = {o->workspace_id, o->key, o->fingerprint};
    struct account *account;
    size_t n;
    o->match = (struct idempotency_match){.state = IDEMPOTENCY_FREE};
    if (!o->key.at)
        return OK;
    enum err e = account_lock(tx, tx->ctx, &o->workspace_id, 1, &account, &n);
    if (e == OK && n == 0)
        e = ERR_NOT_FOUND;
    return e == OK ? idempotency_find(tx, o->ctx, &key, 1, &o->match) : e;
}

static enum err store_key(struct db_tx *tx, const struct once *o)
{
    const struct idempotency_entry entry = {
        .key = {o->workspace_id, o->key, o->fingerprint},
        .response = {o->response.status, stored_body(o)},
    };
    return o->key.at ? idempotency_store(tx, &entry, 1) : OK;
}

/* The key was stored by an earlier run of this transaction, and not by the same request sent twice: that one
 * would have another response, or one that is right for both. */
static bool is_own(const struct db_tx *tx, const struct once_call *c)
{
    struct span found = c->once->match.response.body, own = stored_body(c->once);
    return tx->settling && c->responded && c->once->match.state == IDEMPOTENCY_REPLAY && found.at && own.at &&
           found.size == own.size && memcmp(found.at, own.at, own.size) == 0;
}

static enum err once_work(struct db_tx *tx, void *arg)
{
    struct once_call *c = arg;
    struct once *o = c->once;
    enum err e = find_key(tx, o);
    if (e == OK && is_own(tx, c))
        o->match = (struct idempotency_match){.state = IDEMPOTENCY_FREE};
    else if (e == OK && o->match.state == IDEMPOTENCY_FREE) {
        e = c->work(tx, c->arg);
        if (e == OK)
            e = o->respond(tx, o);
        if (e == OK)
            e = store_key(tx, o);
        c->responded = e == OK;
    }
    return e;
}

enum err once_transaction(struct db *db, struct once *o, db_work *work, void *arg)
{
    struct once_call call = {.once = o, .work = work, .arg = arg};
    return o ? db_transaction(db, once_work, &call) : db_transaction(db, work, arg);
}
