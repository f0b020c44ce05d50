/* Counts of the runs that have begun and ended, for GET /metrics: in this process until run_counts_flush adds
 * them to MariaDB, where one row counts for all processes. They are not exact: a process that is killed loses
 * what it has not added, at most a second of an executor's work. Any thread. */
#pragma once

#include "mariadb/db.h"
#include "run/states.h"

enum {
    /* Upper bounds of the histograms, run_counts_bounds_ms, and one bucket for everything above. */
    RUN_COUNTS_BUCKETS = 16,
};

enum run_measure {
    /* runs by their last state and reason */
    MEASURE_ENDS = 1,
    /* from when a run could be claimed first until its first claim */
    MEASURE_QUEUED = 2,
    /* from its first claim to its end, waits included */
    MEASURE_RUNNING = 3,
    RUN_MEASURES = 4,
};

extern const int64_t run_counts_bounds_ms[RUN_COUNTS_BUCKETS - 1];

void run_counts_claim(enum responder_kind kind, int64_t queued_ms);
/* running_ms < 0: it had not begun. */
void run_counts_end(enum responder_kind kind, enum run_state state, enum failure_reason reason,
                    int64_t running_ms);
/* Adds what was counted to MariaDB, in one statement outside of any transaction; nothing if nothing was
 * counted. If that fails, it is kept for the next call. */
void run_counts_flush(struct db *db);
