/* Periodic tasks that any executor process may do. Each task has a row that says when it is due; the process
 * that locks the row first does it (maintenance/tasks.h). A task changes at most 500 rows in one transaction.
 */
#pragma once

#include "executor/context/executor.h"

struct maintenance_timer;
/* Looks for due tasks every second from now on. */
struct maintenance_timer *maintenance_timer_start(void *ctx, struct executor *exec);
/* NULL-safe. */
void maintenance_timer_stop(struct maintenance_timer *m);
