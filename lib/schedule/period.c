#include "schedule/period.h"

#include <string.h>
#include <time.h>

#include "schedule/zone.h"

enum { MINUTES_PER_DAY = 24 * 60, SECONDS_PER_DAY = 86400, MS_PER_DAY = 86400000 };

static const char *const names[] = {[PERIOD_DAY] = "day", [PERIOD_MONTH] = "month", [PERIOD_TOTAL] = "total"};
enum { NAMES = sizeof names / sizeof names[0] };

const char *period_name(enum period_kind kind)
{
    return (unsigned)kind < NAMES ? names[kind] : NULL;
}

enum period_kind period_from_name(const char *name)
{
    for (int i = PERIOD_DAY; i < NAMES; i++) {
        if (strcmp(names[i], name) == 0)
            return (enum period_kind)i;
    }
    return 0;
}

/* The day of the local date at an instant, since 1970. */
static int64_t local_day(struct zone *zone, int64_t instant_ms)
{
    int64_t local_ms = instant_ms + zone_offset_ms(zone, instant_ms);
    return local_ms / MS_PER_DAY - (local_ms % MS_PER_DAY < 0);
}

/* The first day of the month of a day, `months` later. */
static int64_t month_day(int64_t day, int months)
{
    time_t seconds = day * SECONDS_PER_DAY;
    struct tm date;
    gmtime_r(&seconds, &date);
    struct tm first = {.tm_year = date.tm_year, .tm_mon = date.tm_mon + months, .tm_mday = 1};
    return timegm(&first) / SECONDS_PER_DAY;
}

/* The period of a local date. */
static struct period period_of_day(struct zone *zone, enum period_kind kind, int64_t day)
{
    int64_t first = kind == PERIOD_MONTH ? month_day(day, 0) : day;
    int64_t next = kind == PERIOD_MONTH ? month_day(day, 1) : day + 1;
    return (struct period){zone_instant_ms(zone, first * MINUTES_PER_DAY),
                           zone_instant_ms(zone, next * MINUTES_PER_DAY)};
}

struct period period_at(struct zone *zone, enum period_kind kind, int64_t instant_ms)
{
    if (kind == PERIOD_TOTAL)
        return (struct period){0, PERIOD_NEVER};
    int64_t day = local_day(zone, instant_ms);
    struct period p = period_of_day(zone, kind, day);
    /* the clock was set back over midnight: the new date has begun already */
    while (instant_ms >= p.end_ms) {
        day = kind == PERIOD_MONTH ? month_day(day, 1) : day + 1;
        p = period_of_day(zone, kind, day);
    }
    return p;
}

int64_t period_day(struct zone *zone, int64_t instant_ms)
{
    int64_t day = local_day(zone, instant_ms);
    while (instant_ms >= period_of_day(zone, PERIOD_DAY, day).end_ms)
        day++;
    return day;
}

struct period period_after(struct zone *zone, enum period_kind kind, struct period last, int64_t now_ms)
{
    struct period p = period_at(zone, kind, now_ms);
    if (p.start_ms < last.end_ms)
        p.start_ms = last.end_ms;
    return p;
}
