/* Deliveries: one for each message and endpoint. A delivery is tried by the schedule of
 * webhooks.retry_seconds (base/retry_schedule.h), always with the same id and body. */
#pragma once

#include <stdbool.h>

#include "mariadb/db.h"
#include "run/outbox.h"

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
/* Makes a delivery pending again. ERR_CONFLICT: its body was purged. ERR_DENIED: the endpoint is switched
 * off. */
enum err webhook_redeliver(struct db *db, const id *workspace, const id *webhook,
                           const id *delivery) WARN_UNUSED;
/* Makes the failed deliveries that were made since a moment (Unix ms) pending again, at most
 * WEBHOOK_REDELIVER_MAX at a time. ERR_DENIED as above. */
enum err webhook_redeliver_since(struct db *db, const id *workspace, const id *webhook, int64_t since_ms,
                                 uint64_t *n_r) WARN_UNUSED;
