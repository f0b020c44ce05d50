/* The run of a command, which is one kind of skill: its files are staged, a runner is started, the runner's
 * reports become events, and when the command has ended its outputs and artifacts are collected and checked.
 */
#pragma once

#include "executor/run/active_run.h"
#include "skill/runner_job.h"

enum {
    /* The runner enforces the deadline, and gets this much longer to report it before the executor ends the
     * run. */
    RUNNER_REPORT_MS = SKILL_GRACE_MS + 3000,
};

extern const struct run_kind skill_run_kind;
