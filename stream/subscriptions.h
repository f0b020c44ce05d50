/* Who waits for which run. One watch a run, shared by all its subscribers and waiters; for each watch one
 * channel of Redis is subscribed to, so that what nobody looks at costs nothing; once a second MariaDB is
 * asked about the runs that somebody waits for, about all of them while Redis is away (and shortly after),
 * and about each subscriber's run and key at its ping.
 *
 * Everything here belongs to the loop's thread. */
#pragma once

#include <event2/event.h>

#include "redis/redis.h"
#include "stream/db_thread.h"

struct hub;
struct watch;

/* A subscriber or waiter, as the hub sees it; embedded in whatever it is. */
struct watcher {
    struct watch *watch;
    struct watcher *next, **at; /* in the watch's list */
    bool is_waiter;             /* its run is looked at every second */
    bool told;                  /* that it may begin */
    bool check_key;             /* at the next look */
    id key;
    const struct watcher_calls *calls;
};

/* Each may free the watcher that it is called with, and no other. */
struct watcher_calls {
    /* From now on nothing is missed that Redis brings. Called once, perhaps from hub_watch. */
    void (*begin)(struct watcher *w);
    /* An event, as lib/run/event_json.h has it. */
    void (*hear)(struct watcher *w, int seq, enum event_type type, const char *text, size_t size);
    /* What MariaDB says of the run; NULL: there is no such run. */
    void (*sight)(struct watcher *w, const struct run_sight *sight);
    /* Its key opens nothing any more. */
    void (*revoked)(struct watcher *w);
};

struct hub *hub_new(void *ctx, struct event_base *base, struct redis_subscriber *redis,
                    struct reader *reader);
void hub_watch(struct hub *hub, const id *execution, const id *workspace, struct watcher *w);
void hub_unwatch(struct hub *hub, struct watcher *w);
/* Wants a look at the watcher's run soon: looks are gathered into one query. */
void hub_look(struct hub *hub, struct watcher *w);
/* To be called every second. */
void hub_tick(struct hub *hub);
const id *watch_execution(const struct watch *watch);
const id *watch_workspace(const struct watch *watch);
