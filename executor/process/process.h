/* One executor process, from its fork to its exit: makes the event loop and everything that runs on it.
 *
 *   SIGTERM, SIGINT  claims end; steps in progress may finish within executor.grace_s; all other runs are
 *                    released (queued again, attempt + 1); the process exits
 *   SIGHUP, SIGUSR1  reopen the log file
 *   SIGUSR2          log the state (process_state.h)
 *
 * A process that lost its lease releases its rows and exits with PROCESS_FENCED. */
#pragma once

#include "base/config.h"

/* Exit statuses: PROCESS_BROKEN means that the process could not be set up. */
enum { PROCESS_FENCED = 3, PROCESS_BROKEN = 4 };

struct peer_heartbeat;
struct begun_run;

/* Runs the process with this index under its master, from 0. `peers` and `begun_run` are the master's shared
 * memory (executor/lease). Returns the exit status. */
int process_run(const struct config *config, int index, struct peer_heartbeat *peers,
                struct begun_run *begun_run);
