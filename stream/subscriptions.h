/* The runs that have subscribers (event streams and waiters). Each run is watched once, whatever the number
 * of its subscribers, through one channel of Redis, so runs without subscribers cost nothing. MariaDB is
 * polled once a second for the runs that have waiters, and for all watched runs while Redis is unreachable
 * and for 5 s afterwards, and once after a publisher said that it has dropped messages. It is also polled for
 * a stream's run and API key at each of its pings.
 *
 * Loop thread only. */
#pragma once

#include <event2/event.h>
#include <sys/queue.h>

#include "redis/share_question.h"
#include "stream/db_thread.h"

struct subscriptions;
struct watched_run;

/* A subscriber, embedded in the struct of its owner. */
struct run_subscriber {
    struct watched_run *run;
    /* in the run's list of subscribers */
    LIST_ENTRY(run_subscriber) entry;
    /* polls the run every second */
    bool is_waiter;
    /* on_ready was called */
    bool is_started;
    /* the next poll checks whether the key is still valid */
    bool check_key;
    id key;
    const struct run_subscriber_callbacks *callbacks;
};

/* A callback may free the subscriber that it is called with, but no other. */
struct run_subscriber_callbacks {
    /* From now on no event is missed: Redis delivers what is published, or, while Redis is unreachable,
     * MariaDB is polled. Called once, possibly from within subscriptions_add. */
    void (*on_ready)(struct run_subscriber *subscriber);
    /* An event as published, parsed by run/event_json.h. */
    void (*on_event)(struct run_subscriber *subscriber, int seq, enum event_type type, const char *text,
                     size_t size);
    /* The state of the run in MariaDB; NULL: the run does not exist. */
    void (*on_progress)(struct run_subscriber *subscriber, const struct run_progress *progress);
    /* The API key is revoked or expired. */
    void (*on_revoked)(struct run_subscriber *subscriber);
};

/* Connects to Redis by the Unix socket `redis_socket`. */
struct subscriptions *subscriptions_new(void *ctx, struct event_base *base, const char *redis_socket,
                                        struct stream_db_thread *db_thread);
/* `on_question` is called for each operator's question about the shares of a workspace. */
void subscriptions_on_share_question(struct subscriptions *subs,
                                     void (*on_question)(void *arg, const struct share_question *question),
                                     void *arg);
/* Watches the run for `subscriber`, which stays owned by the caller. */
void subscriptions_add(struct subscriptions *subs, const id *execution, const id *workspace,
                       struct run_subscriber *subscriber);
/* Call it before the subscriber is freed. The last one ends the watch. */
void subscriptions_remove(struct subscriptions *subs, struct run_subscriber *subscriber);
/* Requests a poll of the subscriber's run. Requests are combined into one query. */
void subscriptions_poll_run(struct subscriptions *subs, struct run_subscriber *subscriber);
/* Reconnects to Redis and polls the runs that need it. Call it every second. */
void subscriptions_tick(struct subscriptions *subs);
const id *watched_run_execution(const struct watched_run *run);
const id *watched_run_workspace(const struct watched_run *run);
/* A writer for state_dump_add, whose argument is the struct subscriptions: logs `state.subscriptions`. */
void subscriptions_log_state(void *subs);
