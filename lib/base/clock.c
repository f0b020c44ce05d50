#define _GNU_SOURCE
#include "base/clock.h"

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

/* The days of 400 years, and of the years before 1970 since 1 March of the year 0. */
enum { DAY_S = 24 * 3600, ERA_DAYS = 146097, EPOCH_DAYS = 719468 };

static char *put_digits(char *out, unsigned number, int digits, char after)
{
    for (int i = digits; i-- > 0; number /= 10)
        out[i] = (char)('0' + number % 10);
    out[digits] = after;
    return out + digits + 1;
}

/* The date of a day since 1970, without the time zones that gmtime_r looks at. A year is counted from 1 March
 * here, so that the leap day is its last one
 * (https://howardhinnant.github.io/date_algorithms.html#civil_from_days). */
static char *put_date(char *out, unsigned days)
{
    unsigned of_era = (days + EPOCH_DAYS) % ERA_DAYS;
    unsigned year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / (ERA_DAYS - 1)) / 365;
    unsigned of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned from_march = (5 * of_year + 2) / 153;
    unsigned month = from_march < 10 ? from_march + 3 : from_march - 9;
    unsigned year = (days + EPOCH_DAYS) / ERA_DAYS * 400 + year_of_era + (month <= 2);
    out = put_digits(out, year, 4, '-');
    out = put_digits(out, month, 2, '-');
    return put_digits(out, of_year - (153 * from_march + 2) / 5 + 1, 2, 'T');
}

/* Formats by hand: the JSON of one execution holds seven times, and strftime would cost more than all the
 * rest of it. A time before 1970 is written as 1970. */
static const char *clock_text(int64_t ms, const char *zone, char out[CLOCK_TEXT_SIZE])
{
    uint64_t since_ms = ms > 0 ? (uint64_t)ms : 0;
    uint64_t seconds = since_ms / 1000;
    unsigned of_day = (unsigned)(seconds % DAY_S);
    char *end = put_date(out, (unsigned)(seconds / DAY_S));
    end = put_digits(end, of_day / 3600, 2, ':');
    end = put_digits(end, of_day / 60 % 60, 2, ':');
    end = put_digits(end, of_day % 60, 2, '.');
    end = put_digits(end, (unsigned)(since_ms % 1000), 3, '\0');
    memcpy(end - 1, zone, strlen(zone) + 1);
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

/* --- parsing --- */

static bool is_leap_year(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* True if the fields are a day of the calendar and a time of that day; a leap second is checked by its
 * caller. */
static bool is_valid_time(const struct tm *tm)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (tm->tm_mon < 0 || tm->tm_mon > 11)
        return false;
    int last = days[tm->tm_mon] + (tm->tm_mon == 1 && is_leap_year(tm->tm_year + 1900));
    return tm->tm_mday >= 1 && tm->tm_mday <= last && tm->tm_hour <= 23 && tm->tm_min <= 59 &&
           tm->tm_sec <= 60;
}

/* Reads exactly `digits` digits. */
static bool read_digits(const char **p, int digits, int *number_r)
{
    *number_r = 0;
    for (int i = 0; i < digits; i++, (*p)++) {
        if (**p < '0' || **p > '9')
            return false;
        *number_r = *number_r * 10 + (**p - '0');
    }
    return true;
}

static bool read_char(const char **p, const char *any_of)
{
    if (!**p || !strchr(any_of, **p))
        return false;
    (*p)++;
    return true;
}

/* Reads ".123456" as milliseconds; digits beyond the third are ignored. */
static bool read_fraction(const char **p, int *ms_r)
{
    int scale = 100;
    *ms_r = 0;
    if (**p != '.')
        return true;
    const char *digits = ++*p;
    for (; **p >= '0' && **p <= '9'; (*p)++) {
        *ms_r += (**p - '0') * scale;
        scale /= 10;
    }
    return *p > digits;
}

/* Reads "Z" or "+hh:mm". A space counts as '+': a query parameter whose '+' was not percent-encoded arrives
 * so. */
static bool read_offset(const char **p, int *offset_s_r)
{
    const char sign = **p;
    int hours, minutes;
    *offset_s_r = 0;
    if (read_char(p, "Zz"))
        return true;
    if (!read_char(p, "+- ") || !read_digits(p, 2, &hours) || !read_char(p, ":") ||
        !read_digits(p, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *offset_s_r = (sign == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
    return true;
}

/* The seconds since the epoch; -1: no valid time, or before 1970. A leap second exists only as the last one
 * of a month in UTC, and counts as the second after it. */
static int64_t seconds_of(struct tm *tm, int offset_s)
{
    if (!is_valid_time(tm))
        return -1;
    bool leap = tm->tm_sec == 60;
    int64_t seconds = (int64_t)timegm(tm) - offset_s;
    if (leap) {
        time_t next = (time_t)seconds;
        struct tm utc;
        gmtime_r(&next, &utc);
        if (utc.tm_mday != 1 || utc.tm_hour != 0 || utc.tm_min != 0)
            return -1;
    }
    return seconds < 0 ? -1 : seconds;
}

int64_t clock_parse(const char *s)
{
    struct tm tm = {0};
    int year, month, offset_s = 0, ms = 0;
    const char *p = s;
    if (!read_digits(&p, 4, &year) || !read_char(&p, "-") || !read_digits(&p, 2, &month) ||
        !read_char(&p, "-") || !read_digits(&p, 2, &tm.tm_mday))
        return -1;
    tm.tm_year = year - 1900;
    tm.tm_mon = month - 1;
    if (*p && (!read_char(&p, "Tt ") || !read_digits(&p, 2, &tm.tm_hour) || !read_char(&p, ":") ||
               !read_digits(&p, 2, &tm.tm_min) || !read_char(&p, ":") || !read_digits(&p, 2, &tm.tm_sec) ||
               !read_fraction(&p, &ms) || !read_offset(&p, &offset_s)))
        return -1;
    int64_t seconds = *p ? -1 : seconds_of(&tm, offset_s);
    return seconds < 0 ? -1 : seconds * 1000 + ms;
}

int64_t clock_parse_http(const char *text)
{
    static const char *const formats[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                          "%a %b %e %H:%M:%S %Y"};
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        struct tm tm = {0};
        const char *end = strptime(text, formats[i], &tm);
        int64_t seconds = end && !*end ? seconds_of(&tm, 0) : -1;
        if (seconds >= 0)
            return seconds * 1000;
    }
    return -1;
}
