/* A request that takes effect once, however often it is sent. Its Idempotency-Key is looked up before its
 * work and stored with its response after it, in the transaction of the work and under the lock of the
 * workspace's account. Without a key, the work is done each time. For requests other than those that start or
 * stop a run, which do the same themselves. */
#pragma once

#include "account/idempotency.h"

struct once {
    id workspace_id;
    /* Absent: the request has no key. */
    struct span key;
    uint8_t fingerprint[IDEMPOTENCY_FINGERPRINT];
    /* Sets `response`, and `stored_body` if need be, in the transaction, after the work. */
    enum err (*respond)(struct db_tx *tx, struct once *o);
    void *arg;
    /* What respond() makes belongs to it. */
    void *ctx;

    /* --- set by once_transaction --- */
    /* FREE: the work was done, and `response` is the answer. Otherwise nothing was done. */
    struct idempotency_match match;
    struct stored_response response;
    /* What is stored in the place of response.body; absent: that itself. */
    struct span stored_body;
};

/* db_transaction, with `work` done once. NULL: without a key and a response. ERR_NOT_FOUND: there is no such
 * workspace. */
enum err once_transaction(struct db *db, struct once *o, db_work *work, void *arg) WARN_UNUSED;
