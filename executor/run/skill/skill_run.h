/* Runs of skills. A command's (here): its files are staged, a runner is started, what it says becomes events,
 * and when it has ended what it left is kept and its outputs are checked. */
#pragma once

#include "executor/run/active_run.h"

enum {
    SKILL_GRACE_MS = 2000, /* from TERM to KILL */
};

extern const struct flow_kind skill_kind;

/* Removes the folders of runs that nobody runs any more (their executor died), now and then. */
struct sweep;
struct sweep *sweep_start(void *ctx, struct executor *x);
