/* Makes deliveries of the messages in the outbox: renders the body of each once, finds the endpoints that ask
 * for it, and writes a row for each of them. Any number of processes may do it at a time. */
#pragma once

#include <stdbool.h>

#include "mariadb/db.h"

enum { WEBHOOK_FANOUT_MAX = 200 };

/* One transaction with up to WEBHOOK_FANOUT_MAX messages: the oldest of each workspace first, so that a
 * workspace whose runs end by the thousand delays no other. A message that nobody asks for is deleted. A
 * delivery beyond `pending_max` pending ones of its endpoint, or of the own webhooks of its workspace's runs,
 * is written as failed. */
enum err webhook_fan_out(struct db *db, int64_t pending_max, bool *has_more_r) WARN_UNUSED;
