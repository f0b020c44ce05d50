/* One connection from nginx: a subscriber to a run's events, or somebody who waits for its end. Owned by the
 * clients list, and gone when its connection is. All in the loop's thread. */
#pragma once

#include <event2/event.h>

#include "stream/subscriptions.h"

struct clients;

struct clients *clients_new(void *ctx, struct event_base *base, struct hub *hub, struct reader *reader,
                            size_t max);
/* Takes a connected, non-blocking descriptor. */
void clients_add(struct clients *all, int fd);
size_t clients_count(const struct clients *all);
/* To be called every second: what failed is tried again. */
void clients_tick(struct clients *all);
/* To be called often: pings those whose time has come. */
void clients_ping(struct clients *all);
/* Ends all streams with a hint when to come again, and lets all waiters go. They leave as their last bytes
 * do. */
void clients_drain(struct clients *all);
/* Drops what is left. */
void clients_drop(struct clients *all);
