#include <criterion/criterion.h>
#include <talloc.h>

#include "base/clock.h"
#include "schedule/calendar.h"

Test(billing_calendar, months_are_written_and_read)
{
    char text[CALENDAR_MONTH_SIZE];
    int month;
    cr_assert(calendar_month_parse("2026-11", &month));
    cr_expect_eq(month, 2026 * 12 + 10);
    cr_expect_str_eq(calendar_month_text(month, text), "2026-11");
    cr_expect_str_eq(calendar_month_text(month + 2, text), "2027-01");
    const char *const wrong[] = {"2026-13", "2026-00", "2026-1", "2026-11-01",
                                 "1969-12", "feb",     "",       "2026+11"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_expect_not(calendar_month_parse(wrong[i], &month), "%s", wrong[i]);
}

Test(billing_calendar, a_month_has_its_days_and_its_zone)
{
    char text[CALENDAR_DAY_SIZE];
    struct zone *berlin = calendar_zone(NULL, "Europe/Berlin");
    struct period march = calendar_month_period(berlin, 2024 * 12 + 2);
    struct calendar_days days = {.zone = berlin};
    cr_expect_eq(march.start_ms, clock_parse("2024-02-29T23:00:00Z"));
    cr_expect_eq(march.end_ms, clock_parse("2024-03-31T22:00:00Z"));
    cr_expect_str_eq(calendar_day_text(calendar_days_of(&days, march.start_ms), text), "2024-03-01");
    cr_expect_str_eq(calendar_day_text(calendar_days_of(&days, march.start_ms - 1), text), "2024-02-29");
    cr_expect_str_eq(calendar_day_text(calendar_days_of(&days, march.end_ms - 1), text), "2024-03-31");
    cr_expect_str_eq(calendar_day_text(calendar_days_of(&days, march.end_ms), text), "2024-04-01");
    cr_expect_eq(calendar_days_of(&days, march.start_ms), calendar_month_day(2024 * 12 + 2));
    cr_expect_eq(calendar_day_month(calendar_month_day(2024 * 12 + 2)), 2024 * 12 + 2);
    cr_expect_eq(calendar_day_month(calendar_month_day(2024 * 12 + 2) - 1), 2024 * 12 + 1);
    talloc_free(berlin);
}

/* Every instant of a month has a day of it, also where midnight comes twice or not at all. */
Test(billing_calendar, the_days_of_a_month_are_in_its_period)
{
    const char *const zones[] = {"America/Havana", "America/Sao_Paulo", "Asia/Kolkata", "Australia/Lord_Howe",
                                 "Pacific/Apia"};
    for (size_t z = 0; z < sizeof zones / sizeof zones[0]; z++) {
        struct zone *zone = calendar_zone(NULL, zones[z]);
        struct calendar_days days = {.zone = zone};
        for (int month = 2010 * 12; month < 2013 * 12; month++) {
            struct period p = calendar_month_period(zone, month);
            cr_expect_eq(calendar_month_period(zone, month + 1).start_ms, p.end_ms, "%s %d", zones[z], month);
            for (int64_t at = p.start_ms; at < p.end_ms; at += 900000)
                cr_assert_eq(calendar_day_month(calendar_days_of(&days, at)), month, "%s %lld", zones[z],
                             (long long)at);
        }
        talloc_free(zone);
    }
}
