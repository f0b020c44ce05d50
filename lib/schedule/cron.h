/* Cron expressions of five fields: minute, hour, day of month, month, day of week. Pure functions on local
 * ("wall") time; lib/schedule/timing.h applies a time zone. docs/schedules.md describes the syntax. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CRON_TEXT_MAX = 256 };

/* Sets of values: bit n stands for the value n. */
struct cron {
    uint64_t minutes;
    uint32_t hours;
    /* 1 to 31 */
    uint32_t days;
    /* 1 to 12 */
    uint16_t months;
    /* 0 (Sunday) to 6 */
    uint8_t weekdays;
    /* weekdays whose last one in a month matches ("5L") */
    uint8_t last_weekdays;
    /* "L" in the day of month: the last day of each month */
    bool last_day;
    /* The field is "*" alone. If neither is, a day matches if one of the two fields matches (POSIX). */
    bool any_day, any_weekday;
    /* The hour field has neither "*" nor "/": the rules for clock changes apply (docs/schedules.md). */
    bool names_hours;
};

/* Reads an expression. Returns NULL and fills *cron_r, or returns a sentence of ctx that states what is
 * wrong. An expression that matches no day (30 February) is wrong. */
const char *cron_parse(void *ctx, const char *text, struct cron *cron_r);

enum { CRON_NEVER = -1 };
/* The first matching minute that is not before `minute`. Minutes are those since 1970-01-01T00:00 of the wall
 * clock, not before 0. CRON_NEVER: none within 40 years (the rarest match, 29 February on one weekday, occurs
 * once in 28 to 40). */
int64_t cron_next_minute(const struct cron *cron, int64_t minute);
