#include "executor/lease/notifications.h"

#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "executor/run/active_run.h"
#include "executor/run/child_watch.h"
#include "redis/keys.h"

enum { RECONNECT_MS = 1000 };

struct notifications {
    struct executor *exec;
    struct redis *redis;
    struct event *event;
    struct timer reconnect_timer;
    const char *stops_channel, *children_channel;
};

static void on_run_stopped(struct notifications *n, const char *text, size_t size)
{
    id run_id;
    if (!id_parse(text, size, &run_id))
        return;
    struct active_run *run = id_map_get(n->exec->runs, &run_id);
    if (run)
        run_cancel(run, "stopped");
    child_watch_notify(n->exec->child_watch, &run_id);
}

/* The message is "PARENT CHILD". */
static void on_child_ended(struct notifications *n, const char *text, size_t size)
{
    id child;
    if (size > ID_LENGTH && id_parse(text + ID_LENGTH + 1, size - ID_LENGTH - 1, &child))
        child_watch_notify(n->exec->child_watch, &child);
}

static void handle_notification(struct notifications *n, const struct redis_value *m)
{
    if (m->kind != REDIS_LIST || m->count != 3 || m->items[1].kind != REDIS_TEXT ||
        m->items[2].kind != REDIS_TEXT)
        return;
    const struct redis_value *message = &m->items[2];
    if (strcmp(m->items[1].text, n->stops_channel) == 0)
        on_run_stopped(n, message->text, message->size);
    else if (strcmp(m->items[1].text, n->children_channel) == 0)
        on_child_ended(n, message->text, message->size);
}

static void schedule_reconnect(struct notifications *n)
{
    if (n->event)
        event_free(n->event);
    n->event = NULL;
    timer_set(n->exec->timers, &n->reconnect_timer, clock_boot_ms() + RECONNECT_MS);
}

static void on_notifications_readable(evutil_socket_t fd, short what, void *arg)
{
    struct notifications *n = arg;
    struct redis_value message;
    enum err e;
    void *scratch = talloc_new(NULL);
    while ((e = redis_next_message(n->redis, scratch, &message)) == OK)
        handle_notification(n, &message);
    talloc_free(scratch);
    if (e != ERR_NOT_FOUND)
        schedule_reconnect(n);
}

static void subscribe_notifications(void *arg)
{
    struct notifications *n = arg;
    struct redis_arg channels[] = {redis_text(n->stops_channel), redis_text(n->children_channel)};
    if (redis_subscribe(n->redis, channels, 2) != OK) {
        schedule_reconnect(n);
        return;
    }
    n->event =
        event_new(n->exec->base, redis_fd(n->redis), EV_READ | EV_PERSIST, on_notifications_readable, n);
    event_add(n->event, NULL);
}

static int notifications_destroy(struct notifications *n)
{
    timer_clear(n->exec->timers, &n->reconnect_timer);
    if (n->event)
        event_free(n->event);
    return 0;
}

struct notifications *notifications_start(void *ctx, struct executor *exec)
{
    struct notifications *n = talloc_zero(ctx, struct notifications);
    n->exec = exec;
    n->redis = redis_new(n, exec->config->redis.socket);
    n->reconnect_timer = (struct timer){.fire = subscribe_notifications, .arg = n};
    n->stops_channel = redis_channel_stops(n).bytes;
    n->children_channel = redis_channel_children(n).bytes;
    talloc_set_destructor(n, notifications_destroy);
    subscribe_notifications(n);
    return n;
}
