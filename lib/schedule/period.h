/* Periods of budgets in a time zone. Pure functions: the clock is the caller's. Times are Unix milliseconds.
 */
#pragma once

#include <stdint.h>

struct zone;

/* Stored in MariaDB: add new ones, never renumber. */
enum period_kind { PERIOD_DAY = 1, PERIOD_MONTH = 2, PERIOD_TOTAL = 3 };

/* The end of PERIOD_TOTAL. */
static const int64_t PERIOD_NEVER = INT64_MAX;

struct period {
    /* From start_ms, before end_ms. PERIOD_TOTAL: 0 and PERIOD_NEVER. */
    int64_t start_ms, end_ms;
};

/* "day" ...; NULL: no such number. */
const char *period_name(enum period_kind kind);
/* 0: no such word. */
enum period_kind period_from_name(const char *name);

/* The period that contains an instant. A day begins at the first moment whose local date it is: where the
 * clock is set back over midnight, it begins once, and where midnight does not exist, after the gap. */
struct period period_at(struct zone *zone, enum period_kind kind, int64_t instant_ms);
/* The date of the PERIOD_DAY that contains an instant, in days since 1970-01-01. */
int64_t period_day(struct zone *zone, int64_t instant_ms);
/* The period that contains `now_ms`, if `last` is an earlier one that ended by then. The time zone may have
 * changed meanwhile: the new period begins no earlier than the last one ended. */
struct period period_after(struct zone *zone, enum period_kind kind, struct period last, int64_t now_ms);
