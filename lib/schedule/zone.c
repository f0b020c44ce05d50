#include "schedule/zone.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <unicode/ucal.h>
#include <unicode/ustring.h>

enum { MS_PER_MINUTE = 60 * 1000 };

struct zone {
    UCalendar *calendar;
};

static int close_calendar(struct zone *zone)
{
    ucal_close(zone->calendar);
    return 0;
}

/* ICU reads "GMT+3" and "XYZ" (as UTC) too: the name must be one that it lists, or an alias of one. */
static bool is_listed(const UChar *name)
{
    UErrorCode e = U_ZERO_ERROR;
    UChar canonical[ZONE_NAME_MAX + 1];
    UBool is_system = false;
    ucal_getCanonicalTimeZoneID(name, -1, canonical, ZONE_NAME_MAX, &is_system, &e);
    return U_SUCCESS(e) && is_system;
}

struct zone *zone_open(void *ctx, const char *name)
{
    UErrorCode e = U_ZERO_ERROR;
    UChar wide[ZONE_NAME_MAX + 1];
    int32_t size = 0;
    if (!*name || strlen(name) > ZONE_NAME_MAX)
        return NULL;
    u_strFromUTF8(wide, ZONE_NAME_MAX + 1, &size, name, -1, &e);
    if (U_FAILURE(e) || !is_listed(wide))
        return NULL;
    UCalendar *calendar = ucal_open(wide, size, "en_US_POSIX", UCAL_GREGORIAN, &e);
    if (U_FAILURE(e))
        return NULL;
    ucal_setAttribute(calendar, UCAL_SKIPPED_WALL_TIME, UCAL_WALLTIME_NEXT_VALID);
    ucal_setAttribute(calendar, UCAL_REPEATED_WALL_TIME, UCAL_WALLTIME_FIRST);
    struct zone *zone = talloc_zero(ctx, struct zone);
    zone->calendar = calendar;
    talloc_set_destructor(zone, close_calendar);
    return zone;
}

int64_t zone_offset_ms(struct zone *zone, int64_t instant_ms)
{
    UErrorCode e = U_ZERO_ERROR;
    ucal_setMillis(zone->calendar, (UDate)instant_ms, &e);
    int64_t offset = (int64_t)ucal_get(zone->calendar, UCAL_ZONE_OFFSET, &e) +
                     ucal_get(zone->calendar, UCAL_DST_OFFSET, &e);
    if (U_FAILURE(e))
        abort();
    return offset;
}

int64_t zone_next_change_ms(struct zone *zone, int64_t instant_ms)
{
    int64_t offset = zone_offset_ms(zone, instant_ms), change = instant_ms;
    /* ICU also reports changes of the rule that leave the offset as it is */
    do {
        UErrorCode e = U_ZERO_ERROR;
        UDate next;
        ucal_setMillis(zone->calendar, (UDate)change, &e);
        if (!ucal_getTimeZoneTransitionDate(zone->calendar, UCAL_TZ_TRANSITION_NEXT, &next, &e) ||
            U_FAILURE(e))
            return INT64_MAX;
        change = (int64_t)next;
    } while (zone_offset_ms(zone, change) == offset);
    return change;
}

int64_t zone_instant_ms(struct zone *zone, int64_t local_minute)
{
    enum { MINUTES_PER_DAY = 24 * 60, MINUTES_PER_HOUR = 60 };
    UErrorCode e = U_ZERO_ERROR;
    /* day n of January 1970: a lenient calendar carries the days into months and years */
    ucal_clear(zone->calendar);
    ucal_setDateTime(zone->calendar, 1970, UCAL_JANUARY, (int32_t)(local_minute / MINUTES_PER_DAY) + 1,
                     (int32_t)(local_minute % MINUTES_PER_DAY / MINUTES_PER_HOUR),
                     (int32_t)(local_minute % MINUTES_PER_HOUR), 0, &e);
    ucal_set(zone->calendar, UCAL_MILLISECOND, 0);
    UDate instant = ucal_getMillis(zone->calendar, &e);
    if (U_FAILURE(e))
        abort();
    return (int64_t)instant;
}

const char *zone_database_version(void)
{
    UErrorCode e = U_ZERO_ERROR;
    const char *version = ucal_getTZDataVersion(&e);
    return U_SUCCESS(e) ? version : "unknown";
}
