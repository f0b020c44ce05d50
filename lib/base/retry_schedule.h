/* When something that failed is tried again. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { RETRY_PAUSES_MAX = 32, RETRY_PAUSE_S_MAX = 7 * 24 * 3600 };

/* Milliseconds between the end of a try that failed and the next one. There is one try more than pauses. */
struct retry_schedule {
    int pauses_n;
    int64_t pause_ms[RETRY_PAUSES_MAX];
};

/* Reads the value of webhooks.retry_seconds: 1 to RETRY_PAUSES_MAX numbers of 0 to RETRY_PAUSE_S_MAX,
 * separated by commas. */
bool retry_schedule_parse(const char *text, struct retry_schedule *s_r);
/* Milliseconds between the end of try `tries` (from 1) and the next one: the schedule's, up to a tenth more
 * by `random` (so that the tries of many messages spread), and at least `retry_after_ms`. -1: there is no
 * further try. */
int64_t retry_schedule_ms(const struct retry_schedule *s, int tries, uint32_t random, int64_t retry_after_ms);
