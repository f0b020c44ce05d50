/* Runs of skills. A command's (here): its files are staged, a runner is started, what it says becomes events,
 * and when it has ended what it left is kept and its outputs are checked. A model's: executor/run_model.h. */
#pragma once

#include "executor/flow.h"

enum {
    SKILL_EVENTS_MAX = 1000, /* log and progress, a run; the runner sends at most four of each a second */
    SKILL_GRACE_MS = 2000,   /* from TERM to KILL */
    /* A command's timeout counts from its start: so long a claimed run may wait for that, for its files and
     * in line with others. */
    SKILL_LINE_MS = 10 * 60 * 1000,
};

/* What the next row says of a skill's run; c is its open commit. */
void skill_note_usage(struct commit *c, const struct usage *usage);
/* One event of a run, unless it had its share. */
void skill_tell_log(struct flow *f, const char *text);
void skill_tell_progress(struct flow *f, int percent, const char *message);

/* Removes the folders of runs that nobody runs any more (their executor died), now and then. */
struct sweep;
struct sweep *sweep_start(void *ctx, struct executor *x);
