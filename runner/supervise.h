/* Runs one job: creates the run's folder, starts the sandbox, enforces the limits, and reports the end.
 *
 * `owner_fd` is the lifeline (-1: none). If it reads as closed, the executor is dead: everything is killed
 * and nothing is reported. The line "stop" on it, or SIGTERM, stops the run: SIGTERM to all processes, then
 * SIGKILL after job->grace_ms. `received` holds bytes that were already read from it; "" for none. */
#pragma once

#include "runner/job.h"

/* Returns the program's exit status: 0 if an "ended" record was sent, 1 if its reader is gone. */
int runner_supervise(void *ctx, const struct runner_job *job, int owner_fd, const char *received);
