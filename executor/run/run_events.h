/* Events and usage of a run that is not a workflow's: log, progress, tokens. */
#pragma once

#include "executor/run/active_run.h"

enum {
    RUN_EVENTS_MAX = 1000, /* log and progress, a run; the runner sends at most four of each a second */
};

/* One event of a run, unless it had its share. */
void run_add_log_event(struct active_run *run, const char *text);
void run_add_progress_event(struct active_run *run, int percent, const char *message);
/* What the next row says of a run's usage; c is its open commit. */
void run_record_usage(struct commit *c, const struct usage *usage);
