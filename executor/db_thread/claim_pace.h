/* Accepting has priority over executing: how many runs may be claimed while the API's hosts report that
 * accepting takes longer than executor.accept_latency_ms. Each report above it reduces the rate by three
 * tenths, from the rate at which runs were claimed, down to CLAIM_PACE_LEAST; each report below it raises the
 * rate by a sixth. Without reports there is no limit, nor once a claimed run has waited for half of
 * executor.queue_age_max_s: a reduction never makes the queue older than that setting. Which runs are claimed
 * is not decided here, so that shares of workspaces apply within the rate.
 *
 * Pure: the caller passes the time (clock_boot_ms). Loop thread only. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    /* Claims per second of one process that are never forbidden. */
    CLAIM_PACE_LEAST = 20,
    /* Between two allowances. */
    CLAIM_PACE_TICK_MS = 50,
    /* Between two changes of the rate: the reports of several hosts in this time count once. */
    CLAIM_PACE_STEP_MS = 200,
    /* What may be claimed and is not is kept for so long. */
    CLAIM_PACE_KEPT_MS = 1000,
    /* A report counts for so long. */
    CLAIM_PACE_REPORT_MS = 1000,
    /* The age of a claimed run counts for at least so long, and at most twice. */
    CLAIM_PACE_AGE_MS = 500,
};

struct claim_pace {
    /* 0: never limited. */
    int64_t latency_max_us;
    /* From this age of a claimed run on there is no limit. */
    int64_t age_max_ms;

    /* The last report, when it came, and the greatest one since the rate was changed; 0: none. */
    int64_t latency_us, reported_ms, worst_us;
    bool limited;
    /* The next allowance is the first one of a time of load. */
    bool begins;
    /* Claims per second while limited. */
    double rate;
    /* What may be claimed, and was not; also parts of a run. */
    double carry;
    /* The last allowance, and the last step. */
    int64_t tick_ms, step_ms;
    /* Claims since the last step. */
    int64_t claimed;
    /* Of claimed runs, in this half of the time for which an age counts and in the one before. */
    int64_t oldest_ms[2], aged_ms;
};

void claim_pace_init(struct claim_pace *p, int64_t latency_max_ms, int64_t queue_age_max_s);
/* A host of the API reports its latency. */
void claim_pace_report(struct claim_pace *p, int64_t latency_us, int64_t now_ms);
/* `claimed` runs were claimed since the last call; the one that had waited longest had waited for
 * `oldest_ms`. Returns how many may be claimed until the next call, CLAIM_PACE_TICK_MS later, with what was
 * not claimed before; -1: any number. */
int claim_pace_allow(struct claim_pace *p, int64_t claimed, int64_t oldest_ms, int64_t now_ms);
/* True while claim_pace_allow must be called: a report counts. */
bool claim_pace_is_active(const struct claim_pace *p, int64_t now_ms);
/* Of a claimed run, in ms, within the last second at least. */
int64_t claim_pace_queue_age(const struct claim_pace *p);
