#include "schedule/timing.h"

#include <sodium.h>
#include <string.h>

enum { MS_PER_MINUTE = 60 * 1000, MS_PER_S = 1000 };

/* The minute of the wall clock that contains a moment, or begins with it. */
static int64_t floor_minute(int64_t ms)
{
    return ms / MS_PER_MINUTE;
}

static int64_t ceil_minute(int64_t ms)
{
    return (ms + MS_PER_MINUTE - 1) / MS_PER_MINUTE;
}

/* The hour field names hours. Local times that match are taken in their order; the zone maps those of a gap
 * to its end and those of a repeated hour to its first pass. The map never descends, and gives one moment for
 * all times of a gap. */
static int64_t next_of_named_hours(const struct timing *timing, int64_t after_ms)
{
    int64_t local = floor_minute(after_ms + zone_offset_ms(timing->zone, after_ms));
    for (;;) {
        local = cron_next_minute(&timing->cron, local);
        if (local == CRON_NEVER)
            return TIMING_NEVER;
        int64_t instant = zone_instant_ms(timing->zone, local);
        if (instant > after_ms)
            return instant;
        local++;
    }
}

/* The hour field has "*" or a step. Each moment whose local time matches is an occurrence: between two
 * changes of the offset, local time is the instant plus a constant. */
static int64_t next_of_every_hour(const struct timing *timing, int64_t after_ms)
{
    int64_t from = after_ms + 1;
    /* more than 40 years of changes, in zones that change four times a year */
    enum { CHANGES_MAX = 200 };
    for (int i = 0; i < CHANGES_MAX; i++) {
        int64_t offset = zone_offset_ms(timing->zone, from);
        int64_t local = cron_next_minute(&timing->cron, ceil_minute(from + offset));
        if (local == CRON_NEVER)
            return TIMING_NEVER;
        int64_t instant = local * MS_PER_MINUTE - offset;
        int64_t change = zone_next_change_ms(timing->zone, from);
        if (instant < change)
            return instant;
        from = change;
    }
    return TIMING_NEVER;
}

static int64_t next_of_interval(const struct timing *timing, int64_t after_ms)
{
    if (after_ms < timing->anchor_ms)
        return timing->anchor_ms;
    return timing->anchor_ms + ((after_ms - timing->anchor_ms) / timing->every_ms + 1) * timing->every_ms;
}

int64_t timing_next(const struct timing *timing, int64_t after_ms)
{
    int64_t next = TIMING_NEVER;
    if (after_ms < timing->start_ms)
        after_ms = timing->start_ms - 1;
    if (timing->kind == TIMING_AT)
        next = timing->at_ms > after_ms ? timing->at_ms : TIMING_NEVER;
    else if (timing->kind == TIMING_EVERY)
        next = next_of_interval(timing, after_ms);
    else if (timing->cron.names_hours)
        next = next_of_named_hours(timing, after_ms);
    else
        next = next_of_every_hour(timing, after_ms);
    return timing->end_ms && next >= timing->end_ms ? TIMING_NEVER : next;
}

int64_t timing_jitter_ms(const id *schedule_id, int64_t nominal_ms, int jitter_s)
{
    unsigned char both[ID_LENGTH + sizeof nominal_ms], hash[crypto_generichash_BYTES_MIN];
    uint64_t number;
    memcpy(both, schedule_id->text, ID_LENGTH);
    memcpy(both + ID_LENGTH, &nominal_ms, sizeof nominal_ms);
    crypto_generichash(hash, sizeof hash, both, sizeof both, NULL, 0);
    memcpy(&number, hash, sizeof number);
    return (int64_t)(number % ((uint64_t)jitter_s * MS_PER_S + 1));
}
