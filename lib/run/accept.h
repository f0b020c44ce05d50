/* Accepting runs: the one way a run comes into being, for API workers and executors (children) alike.
 *
 * A caller describes a run that it has judged by itself (key, scope, form, schema, model); accept_batch
 * decides under the account's lock what only the lock can decide (idempotency key, tool call, balance,
 * concurrency, the parent's attempt, the responder's version) for many runs in one transaction, and tells
 * each its verdict. A member that loses never rolls back the others.
 *
 * fcgi/shared/accept_group.h shares batches between the workers of a host; an executor's database thread
 * calls accept_batch with what queued for it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "account/balance_cache.h"
#include "account/run_answer.h"
#include "base/ids.h"
#include "base/span.h"
#include "mariadb/db.h"
#include "redis/redis.h"
#include "run/states.h"

enum {
    ACCEPT_BATCH_MAX = 64,
    TREE_DEPTH_MAX = 16,
    TREE_SIZE_MAX = 10000,
};

struct run_request {
    id execution_id; /* chosen by the caller: the same in every attempt to accept this run */
    id workspace_id, principal_id, key_id /* may be unset */, responder_id;
    id retry_of;
    int version;             /* of the responder, as judged */
    int64_t catalog_version; /* the account's number read beside that version (lib/account/account.h); 0: not
                                known */
    bool pinned;             /* a retry: the version need not be the current one */
    bool agentic;
    enum responder_kind kind;
    enum run_source source;
    int64_t credits_asked; /* micro: what program or manifest asks for, 0 for nothing */
    int64_t price;         /* micro: the operator's price of this responder, -1 where none is set */

    struct { /* of a child; id unset for a root */
        id id, root_id;
        int attempt; /* ours: the parent must still be running it */
        int step, item, try;
        int depth;           /* the parent's */
        int64_t deadline_ms; /* the parent's */
    } parent;

    struct span idempotency_key; /* absent: none */
    uint8_t fingerprint[32];

    struct span input;    /* JSON, as sent; absent: none */
    struct span tags;     /* JSON array */
    struct span metadata; /* JSON object */
    struct span extra;    /* JSON object: what is particular to the kind (file_source_ids, model) */
    struct span thread_id, tool_call_id;
    id message_id;

    int status;       /* of the first answer, stored for replay: 202 or 201 */
    struct span body; /* of the first answer */
};

/* Judges and accepts `n` (1 to 64) runs. Answers are of ctx. `settle_connection` is 0, or the connection id
 * of a leader that died over these very requests. Redis may be NULL. */
void accept_batch(struct db *db, struct redis *redis, void *ctx, const struct run_request *const *requests,
                  size_t n, uint64_t settle_connection, struct run_answer *answers);

/* Where this process keeps what it saw of balances, from now on: in what the workers of a host share. */
void accept_share_balance_cache(struct balance_cache *shared);

/* What Redis knows of a keyed request, before anything else is done: RUN_REPLAYED, RUN_KEY_REUSED,
 * RUN_IN_FLIGHT, or 0 for "go on" (then *locked_r says whether the claim was had, to be released by
 * idempotency_cache_unlock or by acceptance). One command: the stored answer and the claim of who is at it
 * share a Redis key, the claim beginning with IDEMPOTENCY_CACHE_LOCK; Redis before 7.0 refuses it, and then
 * only MariaDB replays. */
#define IDEMPOTENCY_CACHE_LOCK "claim "
enum run_verdict idempotency_cache_get_or_lock(struct redis *redis, void *ctx,
                                               const struct run_request *request, bool *locked_r,
                                               struct run_answer *answer_r);
/* Frees the claim of a keyed request that was refused, so that the key can be used at once. */
void idempotency_cache_unlock(struct redis *redis, void *ctx, const struct run_request *request);

/* What MariaDB knows of a key, for a request that is about to be refused or is no run (stop, POST
 * /workflows): RUN_REPLAYED (after a commit was flushed), RUN_KEY_REUSED, RUN_UNAVAILABLE, or 0 where the key
 * is free. */
enum run_verdict accept_find_key(struct db *db, void *ctx, const id *workspace, struct span key,
                                 const uint8_t fingerprint[32], struct run_answer *answer_r);
