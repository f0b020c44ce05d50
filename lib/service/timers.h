/* Timers of the loop thread, on CLOCK_BOOTTIME: a binary heap, and one timerfd that is armed for the
 * nearest timer. libevent's own timers use CLOCK_MONOTONIC, which stops while the machine is suspended. The
 * delays of runs, and the decision whether an executor is alive, must include that time.
 *
 * A struct timer is embedded in the object that it belongs to. It can be set and cleared any number of
 * times. The owner clears it before it is freed. Loop thread only. */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timer {
    void (*fire)(void *arg);
    void *arg;
    /* milliseconds of CLOCK_BOOTTIME */
    int64_t at_ms;
    /* index in the heap, from 1; 0: not set */
    size_t heap_index;
};

struct timers;

/* `base` may be NULL in tests: then only timers_run fires timers. Returns NULL if the timerfd cannot be
 * created. */
struct timers *timers_new(void *ctx, struct event_base *base);

static inline bool timer_is_set(const struct timer *t)
{
    return t->heap_index != 0;
}
/* Sets the timer, or changes its time. A time in the past fires in the next iteration of the loop. */
void timer_set(struct timers *all, struct timer *t, int64_t at_ms);
void timer_clear(struct timers *all, struct timer *t);

/* Fires all timers that are due at `now_ms`, in order of time. A timer is no longer set when its callback is
 * called. */
void timers_run(struct timers *all, int64_t now_ms);
/* Returns the time of the nearest timer, INT64_MAX if none is set. */
int64_t timers_next_ms(const struct timers *all);
