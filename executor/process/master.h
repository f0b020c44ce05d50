/* The master of the executor processes: forks executor.processes of them, starts another for each that ends
 * (at once, or, where they die young, after a delay that doubles up to 30 s), and takes them down with it:
 * SIGTERM is passed on, and a master that is killed takes them along (they get SIGTERM from the kernel and
 * hand back what they have). SIGHUP and SIGUSR1 are passed on: logs are opened anew. */
#pragma once

#include "base/config.h"

/* The exit status, once all have ended. `ctx` holds what the caller has; the processes free their copies of
 * it. */
int master_run(void *ctx, const struct config *config);
