/* One run from start to end: staged, started, watched, ended, reported.
 * `owner_fd` is the lifeline: when it reads as closed the owner is dead, and everything dies without a
 * report. A line "stop" on it, or SIGTERM, stops the run: TERM to the tree, the grace, KILL. -1: no owner.
 * `received`: what has been read from it already; "" for nothing. */
#pragma once

#include "runner/job.h"

/* The program's exit status: 0 when an "ended" record was sent, 1 when its reader is gone. */
int runner_supervise(void *ctx, const struct runner_job *job, int owner_fd, const char *received);
