/* Messages of Redis that say that a run was stopped. Redis may be wrong, so a message cancels nothing: the
 * run's row is read at once, and the run is cancelled if its row says that it was stopped. One statement at a
 * time, of up to 512 runs, whatever Redis publishes. If the row cannot be read, the next heartbeat finds the
 * stop. Loop thread only. */
#pragma once

#include "executor/context/executor.h"

struct stop_hints;
struct stop_hints *stop_hints_new(void *ctx, struct executor *exec);

/* Ignored for a run that is not in memory. */
void stop_hints_add(struct stop_hints *h, const id *run);
