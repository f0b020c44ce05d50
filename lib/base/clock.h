/* The clocks. Wall time is for what people read and for ids. Timeouts and leases use CLOCK_BOOTTIME, which
 * runs on during suspend and cannot be set. All functions are thread-safe. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Milliseconds since the Unix epoch. */
int64_t clock_wall_ms(void);
/* Milliseconds and microseconds since boot. */
int64_t clock_boot_ms(void);
int64_t clock_boot_us(void);

enum { CLOCK_TEXT_SIZE = 32 };
/* Writes "2026-01-15T10:30:00.123+00:00" (for snake_case JSON fields) and returns `out`. */
const char *clock_text_offset(int64_t ms, char out[CLOCK_TEXT_SIZE]);
/* Writes "2026-01-15T10:30:00.123Z" (camelCase JSON fields and the contract of skills) and returns `out`. */
const char *clock_text_z(int64_t ms, char out[CLOCK_TEXT_SIZE]);
/* Converts an RFC 3339 date-time, or a plain date (midnight UTC), to milliseconds. Returns -1 if `text` is
 * neither, names a day or a time that does not exist, or lies before 1970. */
int64_t clock_parse(const char *text);
/* Converts an HTTP-date (RFC 9110, section 5.6.7: all three forms) to milliseconds; -1 as above. */
int64_t clock_parse_http(const char *text);
