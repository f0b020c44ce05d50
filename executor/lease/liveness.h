/* The liveness thread: heartbeats, the lease and the detection of lost peers, with a connection to MariaDB
 * that nothing else uses. No run, no maintenance task and no Redis is on this thread, so none of them can
 * delay a heartbeat. Each statement ends within the client's timeout of 3 s.
 *
 * Every HEARTBEAT_MS (200 ms after an error) the thread increments the process's counter, renews the lease
 * and reads the counters of the other processes (peers.h).
 *
 * It also watches the loop and the database thread (service/progress.h). One that takes no step for 3 s is
 * logged as `executor.thread_stalled`, and its end as `executor.thread_resumed`. One that takes no step for
 * executor.stall_abort_s is dead: the process aborts, the master starts another one, and the other processes
 * find the runs lost 12 s later. A stall alone does not end the lease: the runs of a process that is slow
 * would only be slow elsewhere. */
#pragma once

#include "executor/context/executor.h"
#include "executor/lease/lease_clock.h"

struct liveness;

/* All are called on the loop. */
struct liveness_callbacks {
    /* The process has a row, and a lease. */
    void (*on_registered)(void *arg, uint64_t executor_id);
    /* The peer was marked as lost by this process: its runs are orphans. */
    void (*on_peer_lost)(void *arg, uint64_t executor_id);
    /* The lease is over; no more heartbeats are sent. At most once. */
    void (*on_over)(void *arg);
    void *arg;
};

/* Starts the thread, which registers the process, trying again every 200 ms until that succeeds. `clock`
 * outlives the thread. NULL: it cannot be started. */
struct liveness *liveness_start(void *ctx, struct executor *exec, struct lease_clock *clock,
                                const struct liveness_callbacks *callbacks);
/* No more heartbeats from now on; the one in flight may still be written. Any thread. */
void liveness_end_heartbeats(struct liveness *l);
/* Ends the thread; waits for its statement. NULL-safe. */
void liveness_stop(struct liveness *l);
