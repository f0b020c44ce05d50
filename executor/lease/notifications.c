#include "executor/lease/notifications.h"

#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "executor/run/active_run.h"
#include "executor/run/child_watch.h"
#include "redis/keys.h"

enum { AGAIN_MS = 1000 };

struct hints {
    struct executor *x;
    struct redis *redis;
    struct event *event;
    struct timer again;
    const char *stops, *children; /* the channels */
};

static void on_stopped(struct hints *h, const char *text, size_t size)
{
    id run;
    if (!id_parse(text, size, &run))
        return;
    struct flow *f = id_table_get(h->x->flows, &run);
    if (f)
        flow_cancel(f, "stopped");
    child_watch_hint(h->x->children, &run);
}

/* "PARENT CHILD" */
static void on_child(struct hints *h, const char *text, size_t size)
{
    id child;
    if (size > ID_LENGTH && id_parse(text + ID_LENGTH + 1, size - ID_LENGTH - 1, &child))
        child_watch_hint(h->x->children, &child);
}

static void take_message(struct hints *h, const struct redis_value *m)
{
    if (m->kind != REDIS_LIST || m->count != 3 || m->items[1].kind != REDIS_TEXT ||
        m->items[2].kind != REDIS_TEXT)
        return;
    const struct redis_value *what = &m->items[2];
    if (strcmp(m->items[1].text, h->stops) == 0)
        on_stopped(h, what->text, what->size);
    else if (strcmp(m->items[1].text, h->children) == 0)
        on_child(h, what->text, what->size);
}

static void hang_up(struct hints *h)
{
    if (h->event)
        event_free(h->event);
    h->event = NULL;
    timer_set(h->x->timers, &h->again, clock_boot_ms() + AGAIN_MS);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct hints *h = arg;
    struct redis_value message;
    enum err e;
    void *scratch = talloc_new(NULL);
    while ((e = redis_next_message(h->redis, scratch, &message)) == OK)
        take_message(h, &message);
    talloc_free(scratch);
    if (e != ERR_NOT_FOUND)
        hang_up(h);
}

static void subscribe(void *arg)
{
    struct hints *h = arg;
    struct redis_arg channels[] = {redis_text(h->stops), redis_text(h->children)};
    if (redis_subscribe(h->redis, channels, 2) != OK) {
        hang_up(h);
        return;
    }
    h->event = event_new(h->x->base, redis_fd(h->redis), EV_READ | EV_PERSIST, on_readable, h);
    event_add(h->event, NULL);
}

static int destroy(struct hints *h)
{
    timer_clear(h->x->timers, &h->again);
    if (h->event)
        event_free(h->event);
    return 0;
}

struct hints *hints_start(void *ctx, struct executor *x)
{
    struct hints *h = talloc_zero(ctx, struct hints);
    h->x = x;
    h->redis = redis_new(h, x->config->redis.socket);
    h->again = (struct timer){.fire = subscribe, .arg = h};
    h->stops = redis_channel_stops(h).bytes;
    h->children = redis_channel_children(h).bytes;
    talloc_set_destructor(h, destroy);
    subscribe(h);
    return h;
}
