/* One executor process, from its fork to its exit: makes the loop and all that lives on it, and sees to the
 * end.
 *
 * SIGTERM: no more claims; steps in hand may finish for executor.grace_s; the rest is handed back; then it
 * leaves. SIGHUP and SIGUSR1: the log file is opened anew. A fenced process hands its rows back and exits
 * with PROCESS_FENCED. */
#pragma once

#include "base/config.h"

enum { PROCESS_FENCED = 3, PROCESS_BROKEN = 4 };

struct peer_heartbeat;

/* The `index`-th of the master's processes, from 0. `peers` outlive it. The exit status. */
int process_run(const struct config *config, int index, struct peer_heartbeat *peers);
