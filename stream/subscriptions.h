/* Who waits for which run. One watch a run, shared by all its subscribers and waiters; for each watch one
 * channel of Redis is subscribed to, so that what nobody looks at costs nothing; once a second MariaDB is
 * asked about the runs that somebody waits for, about all of them while Redis is away (and shortly after),
 * and about each subscriber's run and key at its ping.
 *
 * Everything here belongs to the loop's thread. */
#pragma once

#include <event2/event.h>
#include <sys/queue.h>

#include "redis/redis.h"
#include "stream/db_thread.h"

struct subscriptions;
struct watched_run;

/* A subscriber or waiter, as the hub sees it; embedded in whatever it is. */
struct run_subscriber {
    struct watched_run *run;
    LIST_ENTRY(run_subscriber) entry; /* in the watch's list */
    bool is_waiter;                   /* its run is looked at every second */
    bool is_started;                  /* that it may begin */
    bool check_key;                   /* at the next look */
    id key;
    const struct run_subscriber_callbacks *callbacks;
};

/* Each may free the watcher that it is called with, and no other. */
struct run_subscriber_callbacks {
    /* From now on nothing is missed that Redis brings. Called once, perhaps from subscriptions_add. */
    void (*on_ready)(struct run_subscriber *subscriber);
    /* An event, as lib/run/event_json.h has it. */
    void (*on_event)(struct run_subscriber *subscriber, int seq, enum event_type type, const char *text,
                     size_t size);
    /* What MariaDB says of the run; NULL: there is no such run. */
    void (*on_progress)(struct run_subscriber *subscriber, const struct run_progress *progress);
    /* Its key opens nothing any more. */
    void (*on_revoked)(struct run_subscriber *subscriber);
};

struct subscriptions *subscriptions_new(void *ctx, struct event_base *base, struct redis_subscriber *redis,
                                        struct stream_db_thread *db_thread);
void subscriptions_add(struct subscriptions *subs, const id *execution, const id *workspace,
                       struct run_subscriber *subscriber);
void subscriptions_remove(struct subscriptions *subs, struct run_subscriber *subscriber);
/* Wants a look at the watcher's run soon: looks are gathered into one query. */
void subscriptions_poll_run(struct subscriptions *subs, struct run_subscriber *subscriber);
/* To be called every second. */
void subscriptions_tick(struct subscriptions *subs);
const id *watched_run_execution(const struct watched_run *run);
const id *watched_run_workspace(const struct watched_run *run);
