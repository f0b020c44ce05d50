/* Limits how many commands start at one time; the others queue.
 *
 * Starting a command costs milliseconds of a core (namespaces, mounts, two programs). If a hundred start at
 * once on two cores, each takes a second, is sampled all that time, and ends no earlier than if they had
 * started in turn.
 *
 * A granted ticket is released when its command has started or ended. After 500 ms (OVERDUE_MS) it counts
 * only for its own workspace, so that one slow start, such as a large file to stage, does not hold up the
 * others for long. A workspace can make all its starts that slow, by commands that compute: the workspace
 * with the fewest granted tickets comes first, none has more than the limit, and one more than the limit is
 * granted to one that has none. Loop thread only. */
#pragma once

#include <stdbool.h>
#include <sys/queue.h>

#include "base/ids.h"
#include "service/timers.h"

struct spawn_limiter;

/* Lives inside its owner, which calls spawn_limiter_release before it is freed. */
struct spawn_ticket {
    id workspace;
    void (*on_granted)(void *arg);
    void *arg;
    /* NULL: neither queued nor granted */
    struct spawn_limiter *limiter;
    TAILQ_ENTRY(spawn_ticket) link;
    struct timer overdue_timer;
    bool granted, overdue;
};

/* At most `limit` tickets that are not overdue are granted at one time, and one more to a workspace that has
 * none. */
struct spawn_limiter *spawn_limiter_new(void *ctx, struct timers *timers, int limit);
/* Queues the ticket. on_granted is called when it is granted, possibly from within this function. */
void spawn_limiter_acquire(struct spawn_limiter *limiter, struct spawn_ticket *ticket);
/* Releases a granted ticket, or leaves the queue. Does nothing with a ticket that is neither. May grant, and
 * so call on_granted of, the next ticket. */
void spawn_limiter_release(struct spawn_ticket *ticket);
