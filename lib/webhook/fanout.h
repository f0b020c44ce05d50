/* Makes deliveries of the messages in the outbox: renders the body of each once, finds the endpoints that ask
 * for it, and writes a row for each of them. Any number of processes may do it at a time. */
#pragma once

#include <stdbool.h>

#include "mariadb/db.h"

/* One transaction with up to WEBHOOK_FANOUT_MAX messages of the next workspaces (webhook/turn.h), the oldest
 * of each, so that a workspace whose runs end by the thousand delays no other. `after` is the last workspace
 * of the call before, not set at first, and is moved on. A message that nobody asks for is deleted. A
 * delivery beyond `pending_max` pending ones of its endpoint, or of the own webhooks of its workspace's runs,
 * is written as failed. */
enum err webhook_fan_out(struct db *db, int64_t pending_max, id *after, bool *has_more_r) WARN_UNUSED;
