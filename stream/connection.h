/* One connection from nginx: a subscriber to a run's events, or somebody who waits for its end. Owned by the
 * clients list, and gone when its connection is. All in the loop's thread. */
#pragma once

#include <event2/event.h>

#include "stream/subscriptions.h"

struct stream_connections;

struct stream_connections *connections_new(void *ctx, struct event_base *base,
                                           struct subscriptions *subscriptions,
                                           struct stream_db_thread *db_thread, size_t max);
/* Takes a connected, non-blocking descriptor. */
void connections_add(struct stream_connections *list, int fd);
size_t connections_count(const struct stream_connections *list);
/* To be called every second: what failed is tried again. */
void connections_tick(struct stream_connections *list);
/* To be called often: pings those whose time has come. */
void connections_ping(struct stream_connections *list);
/* Ends all streams with a hint when to come again, and lets all waiters go. They leave as their last bytes
 * do. */
void connections_drain(struct stream_connections *list);
/* Drops what is left. */
void connections_drop(struct stream_connections *list);
