#include "service/timers.h"

#include <string.h>
#include <sys/timerfd.h>
#include <talloc.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

struct timers {
    /* binary heap from index 1: the children of i are 2i and 2i + 1 */
    struct timer **heap;
    size_t count;
    int64_t armed_ms;
    /* timerfd; -1 without an event base */
    int fd;
    struct event *event;
};

static void heap_put(struct timers *all, size_t heap_index, struct timer *t)
{
    all->heap[heap_index] = t;
    t->heap_index = heap_index;
}

static void heap_sift_up(struct timers *all, struct timer *t)
{
    size_t i = t->heap_index;
    for (; i > 1 && all->heap[i / 2]->at_ms > t->at_ms; i /= 2)
        heap_put(all, i, all->heap[i / 2]);
    heap_put(all, i, t);
}

static void heap_sift_down(struct timers *all, struct timer *t)
{
    size_t i = t->heap_index;
    for (size_t child; (child = 2 * i) <= all->count; i = child) {
        if (child < all->count && all->heap[child + 1]->at_ms < all->heap[child]->at_ms)
            child++;
        if (all->heap[child]->at_ms >= t->at_ms)
            break;
        heap_put(all, i, all->heap[child]);
    }
    heap_put(all, i, t);
}

/* Arms the timerfd for the nearest timer, if that time has changed. */
static void timers_arm_fd(struct timers *all)
{
    int64_t next_ms = timers_next_ms(all);
    if (all->fd < 0 || next_ms == all->armed_ms)
        return;
    all->armed_ms = next_ms;
    struct itimerspec at = {0};
    if (next_ms != INT64_MAX) {
        int64_t ms = next_ms > 0 ? next_ms : 1; /* zero would disarm the timerfd */
        at.it_value.tv_sec = ms / 1000;
        at.it_value.tv_nsec = ms % 1000 * 1000000;
    }
    (void)timerfd_settime(all->fd, TFD_TIMER_ABSTIME, &at, NULL);
}

static void heap_remove(struct timers *all, struct timer *t)
{
    struct timer *last = all->heap[all->count--];
    if (last != t) {
        heap_put(all, t->heap_index, last);
        heap_sift_up(all, last);
        heap_sift_down(all, last);
    }
    t->heap_index = 0;
}

void timer_set(struct timers *all, struct timer *t, int64_t at_ms)
{
    if (timer_is_set(t)) {
        t->at_ms = at_ms;
        heap_sift_up(all, t);
        heap_sift_down(all, t);
    } else {
        if (all->count + 2 > talloc_array_length(all->heap))
            all->heap = talloc_realloc(all, all->heap, struct timer *, 2 * (all->count + 2));
        t->at_ms = at_ms;
        heap_put(all, ++all->count, t);
        heap_sift_up(all, t);
    }
    timers_arm_fd(all);
}

void timer_clear(struct timers *all, struct timer *t)
{
    if (!timer_is_set(t))
        return;
    heap_remove(all, t);
    timers_arm_fd(all);
}

int64_t timers_next_ms(const struct timers *all)
{
    return all->count > 0 ? all->heap[1]->at_ms : INT64_MAX;
}

void timers_run(struct timers *all, int64_t now_ms)
{
    /* At most as many as were set at the start: a callback may set its timer to a time in the past again. */
    for (size_t left = all->count; left > 0 && all->count > 0 && all->heap[1]->at_ms <= now_ms; left--) {
        struct timer *t = all->heap[1];
        heap_remove(all, t);
        t->fire(t->arg);
    }
    timers_arm_fd(all);
}

static void on_timerfd(evutil_socket_t fd, short what, void *arg)
{
    struct timers *all = arg;
    uint64_t expirations;
    if (read(fd, &expirations, sizeof expirations) < 0)
        return; /* the timerfd was set again in the meantime and fires at the new time */
    all->armed_ms = INT64_MAX;
    timers_run(all, clock_boot_ms());
}

static int timers_destroy(struct timers *all)
{
    if (all->event)
        event_free(all->event);
    if (all->fd >= 0)
        close(all->fd);
    return 0;
}

struct timers *timers_new(void *ctx, struct event_base *base)
{
    struct timers *all = talloc_zero(ctx, struct timers);
    all->heap = talloc_zero_array(all, struct timer *, 64);
    all->armed_ms = INT64_MAX;
    all->fd = -1;
    if (!base)
        return all;
    all->fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (all->fd < 0) {
        talloc_free(all);
        return NULL;
    }
    talloc_set_destructor(all, timers_destroy);
    all->event = event_new(base, all->fd, EV_READ | EV_PERSIST, on_timerfd, all);
    event_add(all->event, NULL);
    return all;
}
