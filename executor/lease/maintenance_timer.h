/* Periodic work that any executor may do: a row a task says when it is due; who locks it first does it. At
 * most 500 rows a transaction. */
#pragma once

#include "executor/context/executor.h"

struct maintenance_timer;
/* Looks once a second, from now on. */
struct maintenance_timer *maintenance_timer_start(void *ctx, struct executor *exec);
void maintenance_timer_stop(struct maintenance_timer *m);
