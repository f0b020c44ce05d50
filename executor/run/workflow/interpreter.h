/* The interpreter of workflow programs: a kind of run. It advances from step to step as far as no side effect
 * is needed, and collects rows and events in the run's pending commit. Then it has that written and waits for
 * its actions. */
#pragma once

#include "executor/run/active_run.h"

extern const struct run_kind workflow_run_kind;
