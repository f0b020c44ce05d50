/* When a schedule is due: cron in a time zone, every n seconds, or at one moment. Pure functions of the
 * schedule and a moment; the clock is the caller's. All times are Unix milliseconds. */
#pragma once

#include <stdint.h>

#include "base/ids.h"
#include "schedule/cron.h"
#include "schedule/zone.h"

enum timing_kind { TIMING_CRON, TIMING_EVERY, TIMING_AT };

enum {
    TIMING_EVERY_MIN_S = 10,
    TIMING_EVERY_MAX_S = 366 * 24 * 3600,
    TIMING_JITTER_MAX_S = 3600,
    TIMING_NEVER = -1,
};

struct timing {
    enum timing_kind kind;
    struct cron cron;
    struct zone *zone;
    /* Every `every_ms` from `anchor_ms` on; the anchor itself is the first occurrence. */
    int64_t every_ms, anchor_ms;
    int64_t at_ms;
    /* No occurrence before start_ms (0: no limit) and none at or after end_ms (0: no limit). */
    int64_t start_ms, end_ms;
};

/* The first nominal time after `after_ms`; TIMING_NEVER: there is none. */
int64_t timing_next(const struct timing *timing, int64_t after_ms);
/* The delay of one occurrence, from 0 to jitter_s seconds: a hash of both columns of its primary key, so that
 * every scheduler finds the same one and schedules of the same minute are spread. */
int64_t timing_jitter_ms(const id *schedule_id, int64_t nominal_ms, int jitter_s);
