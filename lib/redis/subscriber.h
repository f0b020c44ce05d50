/* Subscriptions to channels of Redis, for an event loop: hiredis' asynchronous API with its libevent adapter.
 * The connection is the subscriber's own, and nothing ever waits. Publishing is not reliable, so a subscriber
 * hears hints.
 *
 * Loop thread only. */
#pragma once

#include <event2/event.h>
#include <stdbool.h>

#include "redis/redis.h"

struct redis_subscriber;

/* Each may be NULL. Texts are valid during the call. A callback may add and remove channels, and may free the
 * subscriber. */
struct redis_subscriber_callbacks {
    /* Redis confirmed the subscription: what is published from now on arrives. */
    void (*on_subscribed)(void *arg, struct redis_arg channel);
    void (*on_message)(void *arg, struct redis_arg channel, struct redis_arg message);
    /* The connection is lost, and all subscriptions with it. Call redis_subscriber_connect later, not from
     * here. */
    void (*on_lost)(void *arg);
};

/* Not connected yet. `callbacks` is kept by pointer. talloc_free closes the connection, without on_lost; free
 * it before the event base. */
struct redis_subscriber *redis_subscriber_new(void *ctx, struct event_base *base, const char *socket,
                                              const struct redis_subscriber_callbacks *callbacks, void *arg);
/* Opens a connection without subscriptions. ERR_UNAVAILABLE: Redis is unreachable (logged once an outage). */
enum err redis_subscriber_connect(struct redis_subscriber *s) WARN_UNUSED;
bool redis_subscriber_is_connected(const struct redis_subscriber *s);
/* Both do nothing while there is no connection. */
void redis_subscriber_add(struct redis_subscriber *s, struct redis_arg channel);
void redis_subscriber_remove(struct redis_subscriber *s, struct redis_arg channel);
