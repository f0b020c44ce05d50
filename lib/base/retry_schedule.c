#include "base/retry_schedule.h"

#include <ctype.h>
#include <stdlib.h>

bool retry_schedule_parse(const char *text, struct retry_schedule *s_r)
{
    *s_r = (struct retry_schedule){0};
    for (const char *p = text;; p++) {
        char *end;
        long seconds = isdigit((unsigned char)*p) ? strtol(p, &end, 10) : -1;
        if (seconds < 0 || seconds > RETRY_PAUSE_S_MAX || s_r->pauses_n == RETRY_PAUSES_MAX)
            return false;
        s_r->pause_ms[s_r->pauses_n++] = seconds * 1000;
        p = end;
        if (*p != ',')
            return *p == '\0';
    }
}

int64_t retry_schedule_ms(const struct retry_schedule *s, int tries, uint32_t random, int64_t retry_after_ms)
{
    if (tries > s->pauses_n)
        return -1;
    int64_t pause_ms = s->pause_ms[tries - 1];
    pause_ms += pause_ms / 10 * (random % 1000) / 1000;
    return pause_ms > retry_after_ms ? pause_ms : retry_after_ms;
}
