#define _GNU_SOURCE
#include "base/clock.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t clock_read_us(clockid_t c)
{
    struct timespec t;
    clock_gettime(c, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_wall_ms(void)
{
    return clock_read_us(CLOCK_REALTIME) / 1000;
}

int64_t clock_boot_ms(void)
{
    return clock_read_us(CLOCK_BOOTTIME) / 1000;
}

int64_t clock_boot_us(void)
{
    return clock_read_us(CLOCK_BOOTTIME);
}

static char *put_digits(char *out, int number, int digits)
{
    for (int i = digits; i-- > 0; number /= 10)
        out[i] = (char)('0' + number % 10);
    return out + digits;
}

/* Formats by hand: the JSON of one execution holds seven times, and strftime would cost more than all the
 * rest of it. */
static const char *clock_text(int64_t ms, const char *zone, char out[CLOCK_TEXT_SIZE])
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    const struct {
        int number, digits;
        char before;
    } parts[] = {{tm.tm_mon + 1, 2, '-'}, {tm.tm_mday, 2, '-'}, {tm.tm_hour, 2, 'T'},
                 {tm.tm_min, 2, ':'},     {tm.tm_sec, 2, ':'},  {(int)(ms % 1000), 3, '.'}};
    char *end = put_digits(out, tm.tm_year + 1900, 4);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        *end++ = parts[i].before;
        end = put_digits(end, parts[i].number, parts[i].digits);
    }
    memcpy(end, zone, strlen(zone) + 1);
    return out;
}

const char *clock_text_offset(int64_t ms, char out[CLOCK_TEXT_SIZE])
{
    return clock_text(ms, "+00:00", out);
}

const char *clock_text_z(int64_t ms, char out[CLOCK_TEXT_SIZE])
{
    return clock_text(ms, "Z", out);
}

/* Reads ".123456" as milliseconds and moves *p behind it; digits beyond the third are ignored. */
static int parse_fraction(const char **p)
{
    int ms = 0;
    int scale = 100;
    if (**p != '.')
        return 0;
    for ((*p)++; **p >= '0' && **p <= '9'; (*p)++) {
        ms += (**p - '0') * scale;
        scale /= 10;
    }
    return ms;
}

static int two_digits(const char *p)
{
    return isdigit((unsigned char)p[0]) && isdigit((unsigned char)p[1]) ? (p[0] - '0') * 10 + p[1] - '0' : -1;
}

/* Reads "Z" or "+hh:mm". A space counts as '+': a query parameter whose '+' was not percent-encoded arrives
 * so. */
static bool parse_offset(const char **p, int *offset_s_r)
{
    const char *s = *p;
    if (*s == 'Z' || *s == 'z') {
        *p = s + 1;
        return true;
    }
    if (!*s || !strchr("+- ", *s))
        return false;
    int hours = two_digits(s + 1);
    if (hours < 0 || s[3] != ':')
        return false;
    int minutes = two_digits(s + 4);
    if (minutes < 0)
        return false;
    *offset_s_r = (*s == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
    *p = s + 6;
    return true;
}

int64_t clock_parse(const char *s)
{
    struct tm tm = {0};
    const char *p = strptime(s, "%Y-%m-%d", &tm);
    if (!p || tm.tm_year < 70)
        return -1;
    int64_t ms = 0;
    int offset_s = 0;
    if (*p == 'T' || *p == 't' || *p == ' ') {
        p = strptime(p + 1, "%H:%M:%S", &tm);
        if (!p)
            return -1;
        ms = parse_fraction(&p);
        if (!parse_offset(&p, &offset_s))
            return -1;
    }
    if (*p)
        return -1;
    return ((int64_t)timegm(&tm) - offset_s) * 1000 + ms;
}
