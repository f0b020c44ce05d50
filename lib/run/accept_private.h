/* What lib/run/accept.c (judging), accept_rows.c (the rows of the winners) and accept_redis.c (suspicion
 * before, publishing after) share. Nobody else includes it. */
#pragma once

#include <string.h>

#include "account/account.h"
#include "run/accept.h"

/* One run of a batch. A verdict of 0 means: not decided yet, and, once all is judged, a winner. */
struct accept_entry {
    const struct run_request *req;
    struct run_answer *answer;
    struct account *account;
    int64_t cost;
    bool committed; /* by an earlier run of this transaction whose answer was lost */
};

struct accept_batch {
    struct accept_entry entries[ACCEPT_BATCH_MAX];
    size_t n;
    void *ctx;         /* of the answers */
    void *publish_ctx; /* what publishing needs, made anew by each run of the transaction */
    struct account *accounts;
    size_t accounts_n;
};

static inline bool entry_is_undecided(const struct accept_entry *entry)
{
    return entry->answer->verdict == 0;
}

/* Accepted by this very transaction, so that its rows are to be written. */
static inline bool entry_is_new(const struct accept_entry *entry)
{
    return entry->answer->verdict == RUN_ACCEPTED && !entry->committed;
}

static inline bool run_request_is_root(const struct run_request *req)
{
    return !id_is_set(&req->parent.id);
}

static inline struct db_value span_value_or_null(struct span s)
{
    return s.at ? db_bytes(s.at, s.size) : db_null();
}

/* What a run costs: its own price or the workspace's (-1: none) or one credit, and never less than it asks
 * for. */
int64_t accept_cost(const struct run_request *req, int64_t account_price);

/* Whether the version that a run was judged by, and with it its price, may have been replaced since: not
 * where nothing in the workspace was, whose number this is now. */
static inline bool accept_version_may_be_stale(const struct run_request *req, int64_t catalog_version)
{
    return !req->pinned && req->catalog_version != catalog_version;
}

/* Writes all rows of the new entries, under their accounts' locks. */
enum err accept_insert(struct db_tx *tx, struct accept_batch *b) WARN_UNUSED;

/* Tells entries whose workspace has not enough, first by Redis and then surely by MariaDB, without a lock.
 * Keyed ones, tool calls and children go on: they may be known already. */
void accept_reject_insufficient_credits(struct db *db, struct redis *redis, struct accept_batch *b);
/* After the commit: replay entries, counters, the queue, the first events. */
void accept_publish(struct redis *redis, struct accept_batch *b);
