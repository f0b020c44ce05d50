#include "cli/month.h"

#include <stdio.h>
#include <string.h>

bool month_parse(const char *text, int64_t *from_ms_r, int64_t *to_ms_r)
{
    char day[16];
    int year, month;
    if (strlen(text) != 7 || strspn(text, "0123456789") != 4 || text[4] != '-' ||
        strspn(text + 5, "0123456789") != 2 || sscanf(text, "%4d-%2d", &year, &month) != 2 || month < 1 ||
        month > 12)
        return false;
    snprintf(day, sizeof day, "%04d-%02d-01", year, month);
    *from_ms_r = clock_parse(day);
    snprintf(day, sizeof day, "%04d-%02d-01", month == 12 ? year + 1 : year, month % 12 + 1);
    *to_ms_r = clock_parse(day);
    return *from_ms_r >= 0 && *to_ms_r > *from_ms_r;
}

const char *day_text(int64_t ms, char out[CLOCK_TEXT_SIZE])
{
    clock_text_z(ms, out);
    out[strlen("2026-11-22")] = '\0';
    return out;
}
