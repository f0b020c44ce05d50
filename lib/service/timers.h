/* Timers of the loop thread, on CLOCK_BOOTTIME: a heap of moments and one timerfd that is armed for the
 * nearest. libevent's own timers count on CLOCK_MONOTONIC, which stands still while a machine sleeps; what a
 * run waits for, and what tells whether an executor still lives, must not.
 *
 * A struct timer lives inside what it belongs to; it is set and cleared any number of times and costs nothing
 * while it is not set. Its owner clears it before it goes. Loop thread only. */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timer {
    void (*fire)(void *arg);
    void *arg;
    int64_t at_ms;     /* CLOCK_BOOTTIME */
    size_t heap_index; /* in the heap, from 1; 0: not set */
};

struct timers;

/* `base` may be NULL (tests): then only timers_run fires. NULL where the kernel refuses a timerfd. */
struct timers *timers_new(void *ctx, struct event_base *base);

static inline bool timer_is_set(const struct timer *t)
{
    return t->heap_index != 0;
}
/* Sets it, or moves it. A moment that has passed fires with the next turn of the loop. */
void timer_set(struct timers *all, struct timer *t, int64_t at_ms);
void timer_clear(struct timers *all, struct timer *t);

/* Fires all that are due at `now_ms`, in order; those that fire are not set any more. */
void timers_run(struct timers *all, int64_t now_ms);
/* The nearest moment, INT64_MAX where none is set. */
int64_t timers_next_ms(const struct timers *all);
