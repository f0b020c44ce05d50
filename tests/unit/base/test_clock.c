#include <criterion/criterion.h>
#include <time.h>

#include "base/clock.h"

Test(clock, formats_both_styles)
{
    char out[CLOCK_TEXT_SIZE];
    cr_assert_str_eq(clock_text_offset(1768473000123, out), "2026-01-15T10:30:00.123+00:00");
    cr_assert_str_eq(clock_text_z(1768473000000, out), "2026-01-15T10:30:00.000Z");
}

/* Each day until the year 2400, which has a leap day, and the last one that can be written. */
Test(clock, writes_the_calendar_of_the_system)
{
    char text[CLOCK_TEXT_SIZE], expected[CLOCK_TEXT_SIZE];
    for (int64_t s = 0; s < INT64_C(13574563200); s += 86399) {
        time_t seconds = (time_t)s;
        struct tm tm;
        gmtime_r(&seconds, &tm);
        strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S.007Z", &tm);
        cr_assert_str_eq(clock_text_z(s * 1000 + 7, text), expected);
    }
    cr_assert_str_eq(clock_text_z(INT64_C(253402300799999), text), "9999-12-31T23:59:59.999Z");
}

Test(clock, parses_client_formats)
{
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"2026-01-15T10:30:00Z", 1768473000000},
        {"2026-01-15T10:30:00.123Z", 1768473000123},
        {"2026-01-15T10:30:00.123456Z", 1768473000123},
        {"2026-01-15T12:30:00+02:00", 1768473000000},
        {"2026-01-15T08:00:00-02:30", 1768473000000},
        {"2026-01-15T10:30:00.000 00:00", 1768473000000}, /* an unencoded '+' of a query */
        {"2026-01-15", 1768435200000},
        {"2026-01-15T10:30:00", -1},
        {"2026-13-15", -1},
        {"yesterday", -1},
        {"", -1},
        {"2026-01-15T10:30:00Zx", -1},
        {"2026-02-30", -1},
        {"2026-02-29T00:00:00Z", -1},
        {"2028-02-29", 1835395200000},
        {"2100-02-29", -1},
        {"2026-04-31T00:00:00Z", -1},
        {"2026-00-10", -1},
        {"2026-01-00", -1},
        {"2026-1-5", -1},
        {"2026-01-15T", -1},
        {"2026-01-15T24:00:00Z", -1},
        {"2026-01-15T10:60:00Z", -1},
        {"2026-01-15T1:02:03Z", -1},
        {"2026-01-15T10:30Z", -1},
        {"2026-01-15T10:30:00.Z", -1},
        {"2026-01-15T10:30:00,5Z", -1},
        {"2026-01-15T10:30:00+24:00", -1},
        {"2026-01-15T10:30:00+02:60", -1},
        {"2026-01-15T10:30:00+0200", -1},
        {"2026-01-15T10:30:00+02", -1},
        {"2016-12-31T23:59:60Z", 1483228800000},
        {"2017-01-01T00:59:60+01:00", 1483228800000},
        {"2016-12-31T22:59:60Z", -1},
        {"2016-12-30T23:59:60Z", -1},
        {" 2026-01-15", -1},
        {"+2026-01-15", -1},
        {"12026-01-15", -1},
        {"1969-12-31T23:59:59Z", -1},
        {"1970-01-01T00:30:00+01:00", -1},
        {"1970-01-01", 0},
        {"9999-12-31T23:59:59.999Z", 253402300799999},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_eq(clock_parse(cases[i].text), cases[i].ms, "%s", cases[i].text);
}

Test(clock, parses_the_dates_of_http)
{
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777000},
        {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777000},
        {"Sun Nov  6 08:49:37 1994", 784111777000},
        {"Mon, 30 Feb 2026 00:00:00 GMT", -1},
        {"Mon, 31 Apr 2026 00:00:00 GMT", -1},
        {"Mon, 01 Mar 2026 25:00:00 GMT", -1},
        {"Sun, 06 Nov 1994 08:49:37 GMT x", -1},
        {"Sun, 06 Nov 1994 08:49:37 CET", -1},
        {"1994-11-06", -1},
        {"tomorrow", -1},
        {"", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_eq(clock_parse_http(cases[i].text), cases[i].ms, "%s", cases[i].text);
}

/* Every second that is written is read as the same second, and the days of a month end where the next one
 * begins. */
Test(clock, reads_what_it_writes)
{
    char text[CLOCK_TEXT_SIZE];
    for (int64_t ms = 1; ms < INT64_C(253402300800000); ms += INT64_C(86399999) * 13) {
        cr_assert_eq(clock_parse(clock_text_z(ms, text)), ms, "%s", text);
        cr_assert_eq(clock_parse(clock_text_offset(ms, text)), ms, "%s", text);
    }
}
