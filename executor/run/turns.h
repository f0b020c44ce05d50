/* Turns of runs on the loop, fair between workspaces.
 *
 * A run that computes (conditions, templates) does so in turns. In one round a workspace has TURN_US of the
 * loop for all its runs. A run that finds this time used up waits in its workspace's queue. The loop first
 * serves what else is ready; then the next round begins, in which one of the workspaces that wait is served
 * first, in rotation. What a turn takes beyond its time counts in the next rounds: its workspace waits for as
 * many as that takes, unless nobody else waits.
 *
 * While a claim's transaction is open, turns_limit ends all turns earlier. Loop thread only. */
#pragma once

#include <sys/queue.h>

#include "base/ids.h"
#include "service/timers.h"

/* microseconds of one workspace in one round */
enum { TURN_US = 5000 };

struct turns;
struct workspace_turns;

/* Embedded in the state of a run, which sets all fields of the first group. */
struct turn {
    struct turns *turns;
    id workspace_id;
    /* The run may ask for a turn again. */
    void (*on_turn)(void *arg);
    void *arg;

    /* set by turn_begin: CLOCK_BOOTTIME, microseconds */
    int64_t began_us, until_us;
    /* NULL: not in a queue */
    struct workspace_turns *queued_in;
    TAILQ_ENTRY(turn) link;
};

/* `now_us` is clock_boot_us, except in tests. */
struct turns *turns_new(void *ctx, struct timers *timers, int64_t (*now_us)(void));
/* No turn lasts beyond `until_us`, and none begins after it; INT64_MAX: no limit. */
void turns_limit(struct turns *turns, int64_t until_us);

/* False: the run has no time now; it is queued, and on_turn will be called. */
bool turn_begin(struct turn *turn);
/* True if the turn's time is used up. */
bool turn_is_over(const struct turn *turn);
/* Ends a turn that turn_begin allowed. */
void turn_end(struct turn *turn);
/* Charges the workspace for work outside a turn that began at `began_us` (CLOCK_BOOTTIME) and ends now. */
void turn_charge(const struct turn *turn, int64_t began_us);
/* Queues the run for another turn, if it is not queued. */
void turn_request(struct turn *turn);
static inline bool turn_is_queued(const struct turn *turn)
{
    return turn->queued_in != NULL;
}
/* Leaves the queue, if the run is in it. */
void turn_cancel(struct turn *turn);
