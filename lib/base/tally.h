/* Counts of what has happened, for GET /metrics: in memory until run_counts_flush (lib/run/run_counts.h) adds
 * them to MariaDB, where one row counts for all processes and outlives them. They are not exact: what a
 * killed process had not added is lost. Any thread; the workers of the API share one tally (tally_share). */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    /* Upper bounds of a histogram, tally_bounds, and one bucket for everything above. */
    TALLY_BUCKETS = 16,
    TALLY_CELLS = 2560,
};

/* What is counted. The numbers are in the table run_counts: append new ones. A cell has a kind, a place and a
 * reason; the place of a time is its bucket. */
enum tally_measure {
    /* Runs by responder kind, last state and failure reason. */
    MEASURE_ENDS = 1,
    /* By responder kind: from when a run could be claimed first until its first claim; milliseconds. */
    MEASURE_QUEUED = 2,
    /* By responder kind: from its first claim to its end, waits included; milliseconds. */
    MEASURE_RUNNING = 3,
    /* By step type and, as the reason, 1 completed or 2 failed: from a step's beginning to its end;
     * milliseconds. */
    MEASURE_STEP = 4,
    /* By 1 delivered or 2 failed: how long one try of a webhook took; milliseconds. */
    MEASURE_WEBHOOK = 5,
    /* Rows of the ledger by kind; the sum is their amount in micro-credits, without its sign. */
    MEASURE_MONEY = 6,
    /* By enum tally_program: how long COMMIT took; microseconds. */
    MEASURE_COMMIT = 7,
    TALLY_MEASURES = 8,
};

enum tally_program { TALLY_OTHER, TALLY_API, TALLY_EXECUTOR, TALLY_PROGRAMS };

struct tally_cell {
    atomic_ullong n, sum;
};

/* Zero bytes at first. */
struct tally {
    /* something was counted since it was last taken */
    atomic_bool counted;
    struct tally_cell cells[TALLY_CELLS];
};

/* The bounds of a measure of time, in its unit, and how many units are a second. */
const int64_t *tally_bounds(enum tally_measure measure);
int64_t tally_units_per_second(enum tally_measure measure);

/* Counts into `shared` (borrowed), which several processes have mapped; NULL: into memory of this process, as
 * before the first call. `program` is the kind of MEASURE_COMMIT. Call it before any thread starts. */
void tally_share(struct tally *shared, enum tally_program program);
/* A cell that does not exist is not counted. A negative `sum` counts as 0. */
void tally_add(enum tally_measure measure, int kind, int place, int reason, uint64_t n, int64_t sum);
/* Counts into the bucket of `time`. */
void tally_time(enum tally_measure measure, int kind, int reason, int64_t time);
void tally_commit(int64_t us);

/* Calls `take` for each cell that is not 0, by measure, kind, place and reason, and empties it. */
typedef void tally_take(void *arg, enum tally_measure measure, int kind, int place, int reason,
                        unsigned long long n, unsigned long long sum);
void tally_take_all(tally_take *take, void *arg);
