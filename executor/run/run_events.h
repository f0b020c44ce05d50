/* Log and progress events, and usage, of the runs of commands and models. */
#pragma once

#include "executor/run/active_run.h"

enum {
    /* log and progress events of one run together; further ones are dropped. The runner sends at most four of
     * each per second. */
    RUN_EVENTS_MAX = 1000,
};

/* Add an event and flush, unless the run has RUN_EVENTS_MAX already. Text is cut at 10,000 bytes. */
void run_add_log_event(struct active_run *run, const char *text);
void run_add_progress_event(struct active_run *run, int percent, const char *message);
/* The usage that commit `c` writes. Copied; replaces an earlier one. */
void run_record_usage(struct commit *c, const struct usage *usage);
