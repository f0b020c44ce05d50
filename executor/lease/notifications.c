#include "executor/lease/notifications.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "executor/lease/claimer.h"
#include "executor/run/active_run.h"
#include "executor/run/child_watch.h"
#include "executor/run/stop_hints.h"
#include "redis/keys.h"
#include "redis/share_question.h"
#include "redis/subscriber.h"

enum { RECONNECT_MS = 1000 };

struct notifications {
    struct executor *exec;
    struct stop_hints *stop_hints;
    struct redis_subscriber *redis;
    struct timer reconnect_timer;
    const char *stops_channel, *children_channel, *latency_channel, *shares_channel;
};

static void look_up_child(struct notifications *n, const id *child)
{
    if (!run_ends_here(n->exec, child))
        child_watch_notify(n->exec->child_watch, child);
}

static void on_run_stopped(struct notifications *n, const char *text, size_t size)
{
    id run_id;
    if (!id_parse(text, size, &run_id))
        return;
    stop_hints_add(n->stop_hints, &run_id);
    look_up_child(n, &run_id);
}

/* The message is "PARENT CHILD". */
static void on_child_ended(struct notifications *n, const char *text, size_t size)
{
    id child;
    if (size > ID_LENGTH && id_parse(text + ID_LENGTH + 1, size - ID_LENGTH - 1, &child))
        look_up_child(n, &child);
}

/* The message is a number of microseconds. */
static void on_accept_latency(struct notifications *n, const char *text, size_t size)
{
    char number[20] = "";
    if (size == 0 || size >= sizeof number)
        return;
    memcpy(number, text, size);
    int64_t us = strtoll(number, NULL, 10);
    if (us > 0)
        claimer_note_latency(n->exec->claimer, us);
}

static void on_share_question(struct notifications *n, const char *text, size_t size)
{
    struct share_question question;
    if (share_question_parse(text, size, &question))
        n->exec->answer_share_question(n->exec, &question);
}

static bool is_channel(struct redis_arg channel, const char *name)
{
    return channel.size == strlen(name) && memcmp(channel.bytes, name, channel.size) == 0;
}

static void on_notification(void *arg, struct redis_arg channel, struct redis_arg message)
{
    struct notifications *n = arg;
    if (is_channel(channel, n->stops_channel))
        on_run_stopped(n, message.bytes, message.size);
    else if (is_channel(channel, n->children_channel))
        on_child_ended(n, message.bytes, message.size);
    else if (is_channel(channel, n->latency_channel))
        on_accept_latency(n, message.bytes, message.size);
    else if (is_channel(channel, n->shares_channel))
        on_share_question(n, message.bytes, message.size);
}

static void schedule_reconnect(void *arg)
{
    struct notifications *n = arg;
    timer_set(n->exec->timers, &n->reconnect_timer, clock_boot_ms() + RECONNECT_MS);
}

static const struct redis_subscriber_callbacks callbacks = {.on_message = on_notification,
                                                            .on_lost = schedule_reconnect};

static void subscribe_notifications(void *arg)
{
    struct notifications *n = arg;
    if (redis_subscriber_connect(n->redis) != OK) {
        schedule_reconnect(n);
        return;
    }
    redis_subscriber_add(n->redis, redis_text(n->stops_channel));
    redis_subscriber_add(n->redis, redis_text(n->children_channel));
    redis_subscriber_add(n->redis, redis_text(n->latency_channel));
    redis_subscriber_add(n->redis, redis_text(n->shares_channel));
}

static int notifications_destroy(struct notifications *n)
{
    timer_clear(n->exec->timers, &n->reconnect_timer);
    return 0;
}

struct notifications *notifications_start(void *ctx, struct executor *exec)
{
    struct notifications *n = talloc_zero(ctx, struct notifications);
    n->exec = exec;
    n->stop_hints = stop_hints_new(n, exec);
    n->redis = redis_subscriber_new(n, exec->base, exec->config->redis.socket, &callbacks, n);
    n->reconnect_timer = (struct timer){.fire = subscribe_notifications, .arg = n};
    n->stops_channel = redis_channel_stops(n).bytes;
    n->children_channel = redis_channel_children(n).bytes;
    n->latency_channel = redis_channel_accept_latency(n).bytes;
    n->shares_channel = redis_channel_shares(n).bytes;
    talloc_set_destructor(n, notifications_destroy);
    subscribe_notifications(n);
    return n;
}
