/* Who may start a command now: few at a time, in order. Starting one costs milliseconds of a core
 * (namespaces, mounts, two programs); a hundred that start at once on two cores all take a second, are
 * sampled all the while, and end no earlier than in turn. A turn is over with the command's start or its end,
 * and counts no longer than TICKET_MS, so that a folder that is slow to stage holds up nobody for long. Loop
 * thread only. */
#pragma once

#include <stdbool.h>

#include "service/timers.h"

struct spawn_limiter;

/* Lives inside what wants to start; spawn_limiter_release before that goes. */
struct spawn_ticket {
    void (*on_granted)(void *arg);
    void *arg;
    struct spawn_limiter *limiter; /* NULL: neither in line nor in turn */
    struct spawn_ticket *next, **link;
    struct timer expiry;
    bool granted;
};

/* At most `limit` in their turn. */
struct spawn_limiter *spawn_limiter_new(void *ctx, struct timers *timers, int limit);
/* Gets in line; `on_granted` is called when it is its turn, from here where that is now. */
void spawn_limiter_acquire(struct spawn_limiter *limiter, struct spawn_ticket *ticket);
/* Its turn is over, or it does not want to start any more; nothing where there is no turn. The next may be
 * called from here. */
void spawn_limiter_release(struct spawn_ticket *ticket);
