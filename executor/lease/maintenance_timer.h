/* Periodic tasks that any executor process may do. Each task has a row that says when it is due; the process
 * that locks the row first does it (maintenance/tasks.h).
 *
 * Maintenance has a thread and connections of its own, so that neither a heartbeat nor a commit waits for it.
 * A task continues in transactions of at most 500 rows while rows are left, at most 200 ms before the
 * next task gets its turn. After each transaction the thread pauses for as long as the transaction took,
 * which leaves half of MariaDB's time to others. */
#pragma once

#include "executor/context/executor.h"

struct maintenance_timer;
/* Looks for due tasks every second from now on. `db` is copied. NULL: the thread cannot be started (logged).
 */
struct maintenance_timer *maintenance_timer_start(void *ctx, struct executor *exec,
                                                  const struct db_settings *db);
/* No transaction begins after the current one. NULL-safe. */
void maintenance_timer_end(struct maintenance_timer *m);
/* Ends the thread; waits for its transaction. After the end of the compute thread, which wakes it, and before
 * the loop is freed. NULL-safe. */
void maintenance_timer_stop(struct maintenance_timer *m);
