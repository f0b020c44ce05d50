/* A time zone of the IANA database, by ICU's calendar. ICU carries the database; an operator replaces it
 * without a new ICU by the environment variable ICU_TIMEZONE_FILES_DIR (docs/schedules.md). A zone belongs to
 * one thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { ZONE_NAME_MAX = 64 };

struct zone;

/* Opens a zone, owned by ctx: "Europe/Berlin", "UTC". NULL if the database does not have the name; offsets
 * ("GMT+1") and abbreviations that ICU invents are no names. */
struct zone *zone_open(void *ctx, const char *name);
/* The offset of local time from UTC at an instant, in ms: local time is the instant plus the offset. */
int64_t zone_offset_ms(struct zone *zone, int64_t instant_ms);
/* The first change of the offset after an instant; INT64_MAX: none. */
int64_t zone_next_change_ms(struct zone *zone, int64_t instant_ms);
/* The instant of a local time, which is given in minutes since 1970-01-01T00:00. If the local time does not
 * exist: the first moment after the gap. If it exists twice: the first one. */
int64_t zone_instant_ms(struct zone *zone, int64_t local_minute);
/* The version of the database, for example "2025b". Static memory. */
const char *zone_database_version(void);
