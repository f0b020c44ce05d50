#include "schedule/calendar.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "schedule/zone.h"

enum { SECONDS_PER_DAY = 86400, MS_PER_DAY = 86400000, MONTHS = 12, TM_YEAR = 1900 };

bool calendar_month_parse(const char *text, int *month_r)
{
    int year, month;
    if (strlen(text) != CALENDAR_MONTH_SIZE - 1 || strspn(text, "0123456789") != 4 || text[4] != '-' ||
        strspn(text + 5, "0123456789") != 2 || sscanf(text, "%4d-%2d", &year, &month) != 2 || month < 1 ||
        month > MONTHS || year < 1970)
        return false;
    *month_r = year * MONTHS + month - 1;
    return true;
}

const char *calendar_month_text(int month, char out[CALENDAR_MONTH_SIZE])
{
    snprintf(out, CALENDAR_MONTH_SIZE, "%04u-%02u", (unsigned)(month / MONTHS) % 10000,
             (unsigned)(month % MONTHS) + 1);
    return out;
}

static struct tm date_of(int64_t day)
{
    time_t seconds = day * SECONDS_PER_DAY;
    struct tm date;
    gmtime_r(&seconds, &date);
    return date;
}

const char *calendar_day_text(int64_t day, char out[CALENDAR_DAY_SIZE])
{
    struct tm date = date_of(day);
    strftime(out, CALENDAR_DAY_SIZE, "%Y-%m-%d", &date);
    return out;
}

int64_t calendar_month_day(int month)
{
    struct tm first = {.tm_year = month / MONTHS - TM_YEAR, .tm_mon = month % MONTHS, .tm_mday = 1};
    return timegm(&first) / SECONDS_PER_DAY;
}

int calendar_day_month(int64_t day)
{
    struct tm date = date_of(day);
    return (date.tm_year + TM_YEAR) * MONTHS + date.tm_mon;
}

struct period calendar_month_period(struct zone *zone, int month)
{
    /* no offset reaches from the middle of a month out of it */
    return period_at(zone, PERIOD_MONTH, (calendar_month_day(month) + 14) * MS_PER_DAY);
}

struct zone *calendar_zone(void *ctx, const char *name)
{
    struct zone *zone = name ? zone_open(ctx, name) : NULL;
    return zone ? zone : zone_open(ctx, "UTC");
}

int64_t calendar_days_of(struct calendar_days *d, int64_t instant_ms)
{
    if (instant_ms < d->day.start_ms || instant_ms >= d->day.end_ms) {
        d->day = period_at(d->zone, PERIOD_DAY, instant_ms);
        d->number = period_day(d->zone, instant_ms);
    }
    return d->number;
}
