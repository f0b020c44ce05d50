/* Months and days of bills, in the time zone of a workspace. A month is numbered 12 * year + (0 to 11), a day
 * by the days since 1970-01-01. Pure functions. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "schedule/period.h"

enum { CALENDAR_MONTH_SIZE = 8, CALENDAR_DAY_SIZE = 11 };

/* Parses "2026-11". */
bool calendar_month_parse(const char *text, int *month_r);
/* Writes "2026-11" and returns `out`. */
const char *calendar_month_text(int month, char out[CALENDAR_MONTH_SIZE]);
/* Writes "2026-11-22" and returns `out`. */
const char *calendar_day_text(int64_t day, char out[CALENDAR_DAY_SIZE]);
/* The first day of a month. */
int64_t calendar_month_day(int month);
int calendar_day_month(int64_t day);
/* The first instant of a month, and of the next one. */
struct period calendar_month_period(struct zone *zone, int month);
/* Opens a zone by name, of ctx; NULL, or a name that the database has no more: UTC. */
struct zone *calendar_zone(void *ctx, const char *name);

/* Converts many instants to days. Zeroed but for `zone`. */
struct calendar_days {
    struct zone *zone;
    struct period day;
    int64_t number;
};
int64_t calendar_days_of(struct calendar_days *d, int64_t instant_ms);
