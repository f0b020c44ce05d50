/* The command of a run that was stopped: it gets its grace, and what it has written to its log is kept.
 * Nobody waits for that but the process's own end. Where it dies meanwhile, or MariaDB is away, the log is
 * lost, and the folder goes with the sweep. Loop thread only. */
#pragma once

#include "executor/executor.h"
#include "executor/runner.h"
#include "executor/skills.h"

/* Takes the runner over, which is told to stop softly, and the folder. */
void run_stopped(struct executor *x, struct runner *r, struct cached_skill *skill, const id *run, int attempt,
                 const char *run_dir);
