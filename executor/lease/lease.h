/* The lease: whether this process may act.
 *
 * The liveness thread (liveness.h) increments the process's counter in MariaDB every 3 s (the heartbeat),
 * renews the lease and finds lost peers. Here, on the loop, memory is compared with MariaDB every 3 s; the
 * database thread reads which runs MariaDB has as running here:
 *
 *   in memory, not in MariaDB   the run was stopped or taken over: it is cancelled
 *   in MariaDB, not in memory   it is requeued as lost
 *
 * A process whose last successful heartbeat was sent 10 s ago is fenced: it may not act any more, since the
 * other processes are about to requeue its runs (after 12 s). It drops all runs, releases its rows as soon as
 * it reaches MariaDB, and exits; the master starts another process. Loop thread only, except lease_holds. */
#pragma once

#include "executor/context/executor.h"

struct lease;

/* Starts the liveness thread, which registers the process, trying again every 200 ms until that succeeds.
 * Sets exec->may_act. NULL: the thread cannot be started. Each callback is called at most once: on_registered
 * the process has a row, and a lease on_fenced      the lease is over; from then on executor_holds_lease() is
 * false on_released    after on_fenced: the process's runs are queued again and its row is deleted */
struct lease *lease_start(void *ctx, struct executor *exec, void (*on_registered)(struct executor *exec),
                          void (*on_fenced)(struct executor *exec),
                          void (*on_released)(struct executor *exec));
/* Ends the heartbeats and deletes the row. `done` is called whether that succeeded or not. */
void lease_unregister(struct lease *l, void (*done)(struct executor *exec));

/* This process's row; 0: not registered yet. */
uint64_t lease_executor_id(const struct lease *l);
/* Milliseconds since the last successful heartbeat was sent. */
int64_t lease_age_ms(const struct lease *l);
/* False as soon as the lease is over, or before there is one. Any thread. */
bool lease_holds(struct lease *l);
/* After the loop has ended: ends the liveness thread. */
void lease_end(struct lease *l);
