/* Log and progress events, and usage, of the runs of commands and models. */
#pragma once

#include "executor/run/active_run.h"

enum {
    /* log and progress events of one run together, the last of which reports what was omitted */
    RUN_EVENTS_MAX = 1000,
};

/* Adds events and flushes. A text of more than 10,000 bytes becomes several events; each ends with a line,
 * or, if a line is longer, with a character. `omitted_bytes`: what the sender left out after the text; the
 * last event says so. Beyond RUN_EVENTS_MAX texts are only counted; an event at
 * the end of the run (active_run.c) reports the numbers. */
void run_add_log_event(struct active_run *run, const char *text, int64_t omitted_bytes);
/* Adds an event and flushes, unless the run has RUN_EVENTS_MAX already. The message is cut at 10,000 bytes.
 */
void run_add_progress_event(struct active_run *run, int percent, const char *message);
/* The usage that commit `c` writes. Copied; replaces an earlier one. */
void run_record_usage(struct commit *c, const struct usage *usage);
