/* Months and days as billing writes them; all in UTC. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

/* Parses "2026-11" into the first millisecond of that month and of the next one. */
bool month_parse(const char *text, int64_t *from_ms_r, int64_t *to_ms_r);
/* Writes "2026-11-22" and returns `out`. */
const char *day_text(int64_t ms, char out[CLOCK_TEXT_SIZE]);
