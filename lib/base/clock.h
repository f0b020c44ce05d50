/* The clocks. Wall time is for what people read and for ids; waiting and liveness are counted on
 * CLOCK_BOOTTIME, which no administrator can set. */
#pragma once

#include <stddef.h>
#include <stdint.h>

int64_t clock_wall_ms(void);
int64_t clock_boot_ms(void);
int64_t clock_boot_us(void);

enum { CLOCK_TEXT_SIZE = 32 };
/* "2026-01-15T10:30:00.123+00:00" (snake_case fields) */
const char *clock_text_offset(int64_t ms, char out[CLOCK_TEXT_SIZE]);
/* "2026-01-15T10:30:00.123Z" (camelCase fields and the skills contract) */
const char *clock_text_z(int64_t ms, char out[CLOCK_TEXT_SIZE]);
/* RFC 3339 date-time or a plain date (UTC midnight) to milliseconds; -1 where it is neither. */
int64_t clock_parse(const char *text);
