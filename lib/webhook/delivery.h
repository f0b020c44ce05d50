/* Deliveries: one for each message and endpoint. A delivery is tried by the schedule of
 * webhooks.retry_seconds (base/retry_schedule.h), always with the same id and body. */
#pragma once

#include <stdbool.h>

#include "mariadb/db.h"
#include "outbox/outbox.h"

struct once;

/* Stored; the queries know WEBHOOK_PENDING as 1, WEBHOOK_FAILED_FINALLY as 3, WEBHOOK_DROPPED as 4. */
enum webhook_state {
    WEBHOOK_PENDING = 1,
    WEBHOOK_DELIVERED = 2,
    WEBHOOK_FAILED_FINALLY = 3,
    /* its run was purged before it was delivered */
    WEBHOOK_DROPPED = 4,
};
/* "pending", "delivered", "failed", "dropped" */
const char *webhook_state_name(enum webhook_state state);

enum {
    /* bytes of an answer that are stored */
    WEBHOOK_ANSWER_MAX = 1024,
    WEBHOOK_DELIVERIES_LIST_MAX = 100,
    WEBHOOK_REDELIVER_MAX = 500,
};

struct webhook_delivery {
    id id, webhook_id, outbox_id, execution_id;
    enum webhook_event event;
    enum webhook_state state;
    int tries, status;
    int64_t due_ms, created_ms, tried_ms;
    const char *error;
    /* Bytes of the endpoint, which may contain NUL; NULL: none. */
    const char *answer;
    size_t answer_size;
};

/* The value of the header webhook-id: "msg_" and the message's id without hyphens; of ctx. */
const char *webhook_message_id(void *ctx, const id *outbox);

/* Newest first, before `before` (unset: the newest). */
enum err webhook_delivery_list(struct db *db, void *ctx, const id *workspace, const id *webhook,
                               const id *before, int64_t limit, struct webhook_delivery **list_r,
                               size_t *n_r) WARN_UNUSED;
enum err webhook_delivery_get(struct db *db, void *ctx, const id *workspace, const id *webhook,
                              const id *delivery, struct webhook_delivery *d_r) WARN_UNUSED;

/* What is made pending again. */
struct webhook_redelivery {
    const id *workspace, *webhook;
    /* NULL: the failed deliveries that were made since `since_ms` (Unix ms), at most WEBHOOK_REDELIVER_MAX at
     * a time. */
    const id *delivery;
    int64_t since_ms;
    /* Pending deliveries that an endpoint may have (webhooks.pending_max). */
    int64_t pending_max;

    /* --- set by webhook_redeliver --- */
    /* Deliveries that are pending now. */
    uint64_t n;
    /* There are more: one call takes no more, or pending_max allows no more. */
    bool has_more;
};
/* ERR_CONFLICT: the body of the delivery was purged. ERR_DENIED: the endpoint is switched off. ERR_LIMIT: it
 * has as many pending deliveries as it may; one that is pending can be sent again nevertheless. */
enum err webhook_redeliver(struct db *db, struct webhook_redelivery *r, struct once *once) WARN_UNUSED;
