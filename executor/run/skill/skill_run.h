/* Runs of skills. A command's (here): its files are staged, a runner is started, what it says becomes events,
 * and when it has ended what it left is kept and its outputs are checked. */
#pragma once

#include "executor/run/active_run.h"

enum {
    SKILL_GRACE_MS = 2000, /* from TERM to KILL */
};

extern const struct run_kind skill_run_kind;

/* Removes the folders of runs that nobody runs any more (their executor died), now and then. */
struct run_dir_sweep;
struct run_dir_sweep *run_dir_sweep_start(void *ctx, struct executor *exec);
