/* Whether this process may act, and whether the others live.
 *
 * Every 3 s the database thread bumps this process's counter, reads what MariaDB takes for running here, and
 * reads all counters. A run that is in memory and not in MariaDB was stopped or taken over: it is cancelled.
 * The other way round, it is queued again as lost. Another process's counter that stood still for 12 s of our
 * CLOCK_BOOTTIME, over at least three looks, means that it is lost, and whoever sees it takes its runs away.
 * What a process has seen of the others is kept by its master for the next one in its place: even where none
 * of them lives for 12 s, those that died are missed in time.
 *
 * A process whose last good heartbeat was sent 10 s ago must not act any more: the others are about to take
 * its runs. It drops everything, hands its rows back as soon as it reaches MariaDB, and ends (the master
 * starts another). */
#pragma once

#include "executor/context/executor.h"

struct lease;

/* Registers, as often as it takes, then beats. `on_registered` is called once; `on_fenced` once, when the
 * lease is over: by then the process may not act any more; `on_released` when its rows are free again. */
struct lease *lease_start(void *ctx, struct executor *exec, void (*on_registered)(struct executor *exec),
                          void (*on_fenced)(struct executor *exec),
                          void (*on_released)(struct executor *exec));
/* Takes the row away; `done` is called whether it could or not. */
void lease_unregister(struct lease *l, void (*done)(struct executor *exec));

/* --- the judgement by itself, for its tests --- */
enum { PEERS_MAX = 512 };
struct peer_heartbeat {
    uint64_t executor; /* 0: free */
    int64_t heartbeat, since_ms;
    int observations; /* that found the same */
};
/* Takes a look at `now_ms` (CLOCK_BOOTTIME); whether it counts as lost. Whoever dies in the middle of it
 * leaves a watch that says less than was seen, never more. */
bool peer_is_lost(struct peer_heartbeat *p, int64_t heartbeat, int64_t now_ms);
