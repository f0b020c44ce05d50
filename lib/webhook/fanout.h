/* Makes deliveries of the messages in the outbox: renders the body of each once, finds the endpoints that ask
 * for it, and writes a row for each of them. Any number of processes may do it at a time. */
#pragma once

#include <stdbool.h>

#include "base/rests.h"
#include "mariadb/db.h"

/* What a worker remembers from one fan-out to the next. Zero bytes at first. */
struct webhook_fanout {
    /* The last workspace that had its turn. */
    id after;
    /* Workspaces whose messages could not be fanned out. */
    struct rests resting;
    /* Messages that were set aside (webhook_retry_set_aside) are tried again after this one. */
    id aside_workspace, aside_message;

    /* --- set by webhook_fan_out --- */
    bool has_more;
};

/* One transaction with up to WEBHOOK_FANOUT_MAX messages of the next workspaces (webhook/turn.h), the oldest
 * of each, so that a workspace whose runs end by the thousand delays no other. A message that nobody asks for
 * is deleted. A delivery beyond `pending_max` pending ones of its endpoint, or of the own webhooks of its
 * workspace's runs, is written as failed.
 *
 * If the transaction fails with an error that is not transient, or if `apart`, each workspace has a
 * transaction of its own, and then each message: a message that fails by itself is set aside (logged as
 * webhook.message_set_aside with the error; stored as fanned = 2), and a workspace with an error that may
 * pass rests. The result is the error of what concerns all; OK if only workspaces failed. */
enum err webhook_fan_out(struct db *db, int64_t pending_max, bool apart,
                         struct webhook_fanout *w) WARN_UNUSED;
/* Makes up to WEBHOOK_ASIDE_MAX messages that were set aside wait for their fan-out again. *more_r: there may
 * be more; the next call goes on after them, and the one after the last begins anew. */
enum { WEBHOOK_ASIDE_MAX = 200 };
enum err webhook_retry_set_aside(struct db *db, struct webhook_fanout *w, bool *more_r) WARN_UNUSED;
