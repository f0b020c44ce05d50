/* The master of the executor processes: forks executor.processes of them and restarts each one that exits
 * (service/supervisor.h): at once, or, if it failed within 10 s of its start, after a delay that doubles up
 * to 30 s.
 *
 *   SIGTERM, SIGINT  forwarded as SIGTERM; processes that are still alive executor.grace_s + 20 s later
 *                    are killed
 *   SIGHUP, SIGUSR1  reopen the log file; forwarded
 *   SIGUSR2          logs the state of the master; forwarded: each process logs its state
 *
 * If the master dies, the kernel sends SIGTERM to the processes, which release their runs. */
#pragma once

#include "base/config.h"

/* Returns the exit status after all processes have exited. `ctx` owns the caller's memory: each process frees
 * its copy of it. */
int master_run(void *ctx, const struct config *config);
