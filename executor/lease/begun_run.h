/* The run that the loop is beginning inside its claim's transaction, in memory that the master shares with
 * the process that replaces this one. A claim whose process dies is rolled back, and MariaDB keeps no trace
 * of it; a run that kills executors would be claimed again and again. The next process therefore counts the
 * run that was being begun as lost, before it claims anything, so that such a run ends after
 * executor.max_losses.
 *
 * Only that run is counted, not the others of its claim. If the master dies as well, the run is not counted.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "base/ids.h"

struct begun_run {
    atomic_bool set;
    id run;
    int attempt;
};

/* A process that dies in between leaves nothing, or the whole of it. */
static inline void begun_run_set(struct begun_run *b, const id *run, int attempt)
{
    atomic_store(&b->set, false);
    b->run = *run;
    b->attempt = attempt;
    atomic_store(&b->set, true);
}

static inline void begun_run_clear(struct begun_run *b)
{
    atomic_store(&b->set, false);
}
