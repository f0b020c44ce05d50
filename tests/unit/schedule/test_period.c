#include <criterion/criterion.h>
#include <talloc.h>

#include "base/clock.h"
#include "schedule/period.h"
#include "schedule/zone.h"

static const int64_t hour_ms = 3600000;

/* The period of `kind` at `at` is from `start` to `end`, and so are those of its first and last instants. */
static void expect(const char *name, enum period_kind kind, const char *at, const char *start,
                   const char *end)
{
    struct zone *zone = zone_open(NULL, name);
    const int64_t start_ms = clock_parse(start), end_ms = clock_parse(end);
    const int64_t instants[] = {clock_parse(at), start_ms, end_ms - 1};
    cr_assert_not_null(zone, "%s", name);
    for (size_t i = 0; i < 3; i++) {
        struct period p = period_at(zone, kind, instants[i]);
        cr_expect_eq(p.start_ms, start_ms, "%s %s: %zu begins %lld ms late", name, at, i,
                     (long long)(p.start_ms - start_ms));
        cr_expect_eq(p.end_ms, end_ms, "%s %s: %zu ends %lld ms late", name, at, i,
                     (long long)(p.end_ms - end_ms));
    }
    cr_expect_eq(period_at(zone, kind, end_ms).start_ms, end_ms, "%s %s: a gap follows", name, at);
    talloc_free(zone);
}

Test(period, days_and_months_of_utc)
{
    expect("UTC", PERIOD_DAY, "2026-11-27T07:00:00Z", "2026-11-27T00:00:00Z", "2026-11-28T00:00:00Z");
    expect("UTC", PERIOD_MONTH, "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z");
    expect("UTC", PERIOD_MONTH, "2028-02-29T12:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z");
}

Test(period, days_with_a_clock_change_have_23_or_25_hours)
{
    expect("Europe/Berlin", PERIOD_DAY, "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z",
           "2026-03-29T22:00:00Z");
    expect("Europe/Berlin", PERIOD_DAY, "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z",
           "2026-10-25T23:00:00Z");
    expect("Europe/Berlin", PERIOD_MONTH, "2026-03-29T12:00:00Z", "2026-02-28T23:00:00Z",
           "2026-03-31T22:00:00Z");
    expect("Europe/Berlin", PERIOD_MONTH, "2026-10-31T22:59:59Z", "2026-09-30T22:00:00Z",
           "2026-10-31T23:00:00Z");
    /* half an hour */
    expect("Australia/Lord_Howe", PERIOD_DAY, "2026-04-04T14:00:00Z", "2026-04-04T13:00:00Z",
           "2026-04-05T13:30:00Z");
}

Test(period, a_change_at_midnight_neither_repeats_nor_loses_a_day)
{
    /* midnight does not exist: the day begins at 01:00 */
    expect("America/Sao_Paulo", PERIOD_DAY, "2018-11-04T12:00:00Z", "2018-11-04T03:00:00Z",
           "2018-11-05T02:00:00Z");
    expect("Asia/Beirut", PERIOD_DAY, "2026-03-29T12:00:00Z", "2026-03-28T22:00:00Z", "2026-03-29T21:00:00Z");
    /* 24:00 becomes 23:00 */
    expect("America/Sao_Paulo", PERIOD_DAY, "2018-02-18T01:30:00Z", "2018-02-17T02:00:00Z",
           "2018-02-18T03:00:00Z");
    /* 01:00 becomes 00:00: the day begins at the first of its two midnights */
    expect("America/Havana", PERIOD_DAY, "2026-11-01T05:30:00Z", "2026-11-01T04:00:00Z",
           "2026-11-02T05:00:00Z");
    /* 00:01 becomes 23:01 of the day before: the new day has begun and goes on */
    expect("America/St_Johns", PERIOD_DAY, "2009-11-01T03:00:00Z", "2009-11-01T02:30:00Z",
           "2009-11-02T03:30:00Z");
    expect("America/St_Johns", PERIOD_MONTH, "2009-11-01T03:00:00Z", "2009-11-01T02:30:00Z",
           "2009-12-01T03:30:00Z");
    /* 30 December 2011 was left out */
    expect("Pacific/Apia", PERIOD_DAY, "2011-12-30T09:59:59Z", "2011-12-29T10:00:00Z",
           "2011-12-30T10:00:00Z");
    expect("Pacific/Apia", PERIOD_MONTH, "2011-12-30T10:00:00Z", "2011-12-01T10:00:00Z",
           "2011-12-31T10:00:00Z");
}

Test(period, each_instant_has_one_day)
{
    static const char *const names[] = {"Europe/Berlin",  "America/St_Johns",  "Pacific/Apia",
                                        "America/Havana", "Africa/Casablanca", "Australia/Lord_Howe",
                                        "America/Nuuk"};
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        struct zone *zone = zone_open(NULL, names[n]);
        int64_t from = clock_parse("2008-01-01T00:00:00Z"), until = clock_parse("2028-01-01T00:00:00Z");
        struct period p = period_at(zone, PERIOD_DAY, from);
        while (p.end_ms < until) {
            struct period next = period_at(zone, PERIOD_DAY, p.end_ms);
            struct period last = period_at(zone, PERIOD_DAY, p.end_ms - 1);
            cr_assert_eq(next.start_ms, p.end_ms, "%s after %lld", names[n], (long long)p.end_ms);
            cr_assert(last.start_ms == p.start_ms && last.end_ms == p.end_ms, "%s before %lld", names[n],
                      (long long)p.end_ms);
            cr_assert(p.end_ms - p.start_ms >= 22 * hour_ms && p.end_ms - p.start_ms <= 26 * hour_ms);
            p = next;
        }
        talloc_free(zone);
    }
}

Test(period, total_has_no_end)
{
    struct zone *zone = zone_open(NULL, "UTC");
    struct period p = period_at(zone, PERIOD_TOTAL, 5);
    cr_assert(p.start_ms == 0 && p.end_ms == PERIOD_NEVER);
    talloc_free(zone);
}

/* A workspace moves from Auckland to Honolulu, whose day began earlier than the one that ended. */
Test(period, a_new_time_zone_begins_where_the_last_period_ended)
{
    struct zone *zone = zone_open(NULL, "Pacific/Honolulu");
    struct period last = {clock_parse("2026-07-01T12:00:00Z"), clock_parse("2026-07-02T12:00:00Z")};
    struct period p = period_after(zone, PERIOD_DAY, last, last.end_ms + hour_ms);
    cr_expect_eq(p.start_ms, last.end_ms);
    cr_expect_eq(p.end_ms, clock_parse("2026-07-03T10:00:00Z"));
    p = period_after(zone, PERIOD_DAY, last, clock_parse("2026-07-09T12:00:00Z"));
    cr_expect_eq(p.start_ms, clock_parse("2026-07-09T10:00:00Z"));
    talloc_free(zone);
}

Test(period, names)
{
    for (int i = PERIOD_DAY; i <= PERIOD_TOTAL; i++)
        cr_expect_eq(period_from_name(period_name((enum period_kind)i)), (enum period_kind)i);
    cr_expect_eq(period_from_name("week"), 0);
    cr_expect_null(period_name(PERIOD_TOTAL + 1));
    cr_expect_null(period_name(0));
}
