/* Claiming deliveries and recording what became of them.
 *
 * A lane is an endpoint, or a host of own webhooks of one workspace. A process claims lanes, not deliveries,
 * so that a lane has at most one process at a time and a slow endpoint occupies only its own lane. A lane
 * begins with one request at a time, doubles that after each success up to WEBHOOK_LANE_SENDS, and returns to
 * one after a failure. It then pauses for 1, 2, 4 … s after each further failure, up to
 * webhooks.pause_max_seconds.
 *
 * Places are shared: lanes that fail and lanes that do not are claimed apart, so that the former never use
 * all places, and a workspace is given a place only while it has fewer than are free (webhook_share). So one
 * workspace has at most half of them, two have a third each, and there is always one for a further one.
 *
 * A claim lasts WEBHOOK_LEASE_MS and the time of a try: what a process that dies has claimed is sent again
 * then, with the same id and body, or as soon as its executor is marked as lost (webhook_release_lost). All
 * times are MariaDB's. */
#pragma once

#include <stdbool.h>

#include "base/retry_schedule.h"
#include "base/trace.h"
#include "mariadb/db.h"
#include "webhook/delivery.h"
#include "webhook/share.h"

enum {
    WEBHOOK_LEASE_MS = 30000,
    /* Deliveries that a lane sends at a time. */
    WEBHOOK_LANE_SENDS = 16,
    /* Lanes of one claim. */
    WEBHOOK_CLAIM_MAX = 64,
    /* The longest Retry-After that is honoured. */
    WEBHOOK_RETRY_AFTER_MAX_MS = 24 * 3600 * 1000,
};

/* One request. */
struct webhook_send {
    id delivery_id, outbox_id;
    int tries;
    int64_t created_ms;
    const char *body;
    size_t body_size;
    /* The execution, and its trace; unset: the message is of none. */
    id execution_id;
    struct trace_context trace;
    /* NULL: none. */
    const char *trace_state;

    /* --- the result: set by the sender --- */
    bool delivered;
    /* 0: there was no answer. */
    int status;
    /* A sentence; NULL if it was delivered. */
    const char *error;
    /* At most WEBHOOK_ANSWER_MAX bytes. */
    const char *answer;
    size_t answer_size;
    int64_t retry_after_ms;
};

struct webhook_lane {
    /* webhook_id is unset for own webhooks. */
    id lane_id, webhook_id, workspace_id;
    int failures, sends_max;
    /* Deliveries that were pending when the lane was claimed. */
    int64_t pending;
    /* The process that claimed it. */
    uint64_t executor;
    /* The endpoint's failing_since_ms was set when the lane was claimed. */
    bool was_failing;
    /* Of an own webhook: each send has its own URL, in the same order. */
    const char **urls;
    const char *secret, *old_secret;
    struct webhook_send *sends;
    size_t sends_n;
};

struct webhook_claim {
    /* Lanes that fail, or those that do not. */
    bool failing;
    /* Requests that may begin, all in all. */
    size_t places;
    /* The requests that each workspace has in flight; webhook_lanes_claim adds those that it returns. */
    struct webhook_shares *shares;
    /* The key of the secrets. */
    const uint8_t *key;
    /* The time of a try. */
    int64_t timeout_ms;
    /* Number of this executor in the table executors. */
    uint64_t executor;
    /* Each lane in a transaction of its own. */
    bool apart;
};
/* Claims due lanes, at most WEBHOOK_CLAIM_MAX. If the transaction fails with an error that is not transient,
 * or if `apart`, each lane has a transaction of its own; one that fails, and not because its rows are locked
 * or MariaDB is away, waits 30 s, and is logged as webhook.lane_deferred. The result is the error of what
 * concerns all lanes. Each of the *n_r lanes is of ctx, with all that it refers to; a lane without sends
 * needs no webhook_lane_finish. */
enum err webhook_lanes_claim(struct db *db, void *ctx, const struct webhook_claim *claim,
                             struct webhook_lane ***lanes_r, size_t *n_r) WARN_UNUSED;

/* True if a lane whose transaction `failed` is deferred: not if its rows were locked, or if MariaDB is away.
 * `then` is the result of a statement after ERR_UNAVAILABLE: MariaDB that answers it has ended one of the
 * lane because it took too long. */
bool webhook_lane_is_at_fault(enum err failed, enum err then);

/* When what has failed is tried again. */
struct webhook_retries {
    struct retry_schedule schedule;
    int64_t pause_max_ms;
};

/* The result of a lane: set by webhook_lanes_finish. */
struct webhook_finish {
    const struct webhook_lane *lane;
    /* The endpoint was switched off. */
    bool disabled;
};
/* Records the results of all sends of n lanes in one transaction, and gives the lanes back. `f` is sorted by
 * the lanes' ids. */
enum err webhook_lanes_finish(struct db *db, const struct webhook_retries *retries, struct webhook_finish *f,
                              size_t n) WARN_UNUSED;
/* Ends the claims of executors that are marked as lost: at most 500. `timeout_ms` is the time of a try. A
 * lane that fails delays no other; the result is the first error. */
enum err webhook_release_lost(struct db *db, int64_t timeout_ms, uint64_t *n_r) WARN_UNUSED;
/* Each deletes up to 500 rows: ended deliveries that are older than `age_ms`; messages of that age without
 * deliveries; unused lanes. */
enum err webhook_expire_deliveries(struct db *db, int64_t age_ms, uint64_t *n_r) WARN_UNUSED;
enum err webhook_expire_messages(struct db *db, int64_t age_ms, uint64_t *n_r) WARN_UNUSED;
enum err webhook_expire_lanes(struct db *db, uint64_t *n_r) WARN_UNUSED;
