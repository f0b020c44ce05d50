#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "schedule/timing.h"

/* The next `n` occurrences after a moment, as "06:00 07:30 …" in UTC. */
static const char *times(const char *expression, const char *zone, const char *after, int n)
{
    static char out[256];
    void *ctx = talloc_new(NULL);
    struct timing timing = {.kind = TIMING_CRON, .zone = zone_open(ctx, zone)};
    cr_assert_not_null(timing.zone, "%s", zone);
    cr_assert_null(cron_parse(ctx, expression, &timing.cron));
    int64_t at = clock_parse(after);
    out[0] = '\0';
    for (int i = 0; i < n; i++) {
        char text[CLOCK_TEXT_SIZE];
        at = timing_next(&timing, at);
        cr_assert_neq(at, TIMING_NEVER);
        clock_text_z(at, text);
        size_t used = strlen(out);
        snprintf(out + used, sizeof out - used, "%s%.5s", i ? " " : "", text + strlen("2027-01-01T"));
    }
    talloc_free(ctx);
    return out;
}

Test(timing, gap_runs_once_at_its_end)
{
    /* 02:00 to 03:00 does not exist on 14 March 2027; 03:00 is 07:00Z */
    const char *zone = "America/New_York", *eve = "2027-03-13T12:00:00Z";
    cr_expect_str_eq(times("30 2 * * *", zone, eve, 2), "07:00 06:30");
    cr_expect_str_eq(times("*/10 2 * * *", zone, eve, 3), "07:00 06:00 06:10");
    cr_expect_str_eq(times("0 2,3 * * *", zone, eve, 3), "07:00 06:00 07:00");
    cr_expect_str_eq(times("30 2,3 * * *", zone, eve, 3), "07:00 07:30 06:30");
    cr_expect_str_eq(times("15 2 * * *", "Australia/Lord_Howe", "2027-10-02T10:00:00Z", 2), "15:30 15:15");
}

Test(timing, repeated_hour_runs_in_its_first_pass_only)
{
    /* 01:00 to 02:00 comes twice on 7 November 2027 */
    const char *zone = "America/New_York", *eve = "2027-11-06T12:00:00Z";
    cr_expect_str_eq(times("30 1 * * *", zone, eve, 2), "05:30 06:30");
    cr_expect_str_eq(times("*/20 1 * * *", zone, eve, 4), "05:00 05:20 05:40 06:00");
    cr_expect_str_eq(times("0 1,2 * * *", zone, eve, 3), "05:00 07:00 06:00");
    cr_expect_str_eq(times("30 1 * * *", zone, "2027-11-07T06:10:00Z", 1), "06:30");
    cr_expect_str_eq(times("45 1 * * *", "Australia/Lord_Howe", "2027-04-03T10:00:00Z", 2), "14:45 15:15");
}

Test(timing, every_hour_continues_through_a_change)
{
    const char *zone = "America/New_York";
    cr_expect_str_eq(times("0 * * * *", zone, "2027-03-14T05:30:00Z", 3), "06:00 07:00 08:00");
    cr_expect_str_eq(times("0 * * * *", zone, "2027-11-07T04:30:00Z", 4), "05:00 06:00 07:00 08:00");
    cr_expect_str_eq(times("*/30 */2 * * *", zone, "2027-03-14T04:30:00Z", 4), "05:00 05:30 08:00 08:30");
    cr_expect_str_eq(times("0 1-23/2 * * *", zone, "2027-11-07T04:30:00Z", 3), "05:00 06:00 08:00");
    cr_expect_str_eq(times("*/15 * * * *", "Australia/Lord_Howe", "2027-04-03T14:40:00Z", 4),
                     "14:45 15:00 15:15 15:30");
    cr_expect_str_eq(times("*/15 * * * *", "Australia/Lord_Howe", "2027-10-02T15:20:00Z", 3),
                     "15:30 15:45 16:00");
}

Test(timing, zone_without_whole_hours)
{
    cr_expect_str_eq(times("0 9 * * *", "Asia/Kathmandu", "2027-01-01T00:00:00Z", 1), "03:15");
    cr_expect_str_eq(times("0 * * * *", "Asia/Kathmandu", "2027-01-01T00:00:00Z", 2), "00:15 01:15");
}

Test(timing, knows_only_names_of_the_database)
{
    const char *wrong[] = {"",
                           "Europe/Bielefeld",
                           "GMT+3",
                           "GMT+03:00",
                           "XYZ",
                           "+01:00",
                           " UTC",
                           "UTC ",
                           "localtime",
                           "Europe/Berlin/x",
                           "Europe/B\xc3\xa9rlin",
                           "\xff"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_expect_null(zone_open(NULL, wrong[i]), "%s", wrong[i]);
    const char *right[] = {"UTC",           "Etc/UTC",      "Europe/Berlin",
                           "Asia/Calcutta", "Asia/Kolkata", "America/Argentina/Ushuaia"};
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        struct zone *zone = zone_open(NULL, right[i]);
        cr_expect_not_null(zone, "%s", right[i]);
        talloc_free(zone);
    }
}

Test(timing, interval_counts_from_its_anchor)
{
    struct timing timing = {.kind = TIMING_EVERY, .every_ms = 60000, .anchor_ms = 1000};
    cr_expect_eq(timing_next(&timing, 0), 1000);
    cr_expect_eq(timing_next(&timing, 1000), 61000);
    cr_expect_eq(timing_next(&timing, 60999), 61000);
    timing.end_ms = 61000;
    cr_expect_eq(timing_next(&timing, 1000), TIMING_NEVER);
}

Test(timing, one_moment_occurs_once)
{
    struct timing timing = {.kind = TIMING_AT, .at_ms = 5000};
    cr_expect_eq(timing_next(&timing, 4999), 5000);
    cr_expect_eq(timing_next(&timing, 5000), TIMING_NEVER);
}

Test(timing, nothing_occurs_before_the_start)
{
    void *ctx = talloc_new(NULL);
    struct timing timing = {.kind = TIMING_CRON, .zone = zone_open(ctx, "UTC")};
    cr_assert_null(cron_parse(ctx, "0 0 * * *", &timing.cron));
    timing.start_ms = clock_parse("2027-05-01T00:00:00Z");
    cr_expect_eq(timing_next(&timing, clock_parse("2027-01-01T00:00:00Z")), timing.start_ms);
    timing.end_ms = clock_parse("2027-05-02T00:00:00Z");
    cr_expect_eq(timing_next(&timing, timing.start_ms), TIMING_NEVER);
    talloc_free(ctx);
}

Test(timing, jitter_is_the_same_for_every_scheduler_and_spread)
{
    id schedule = id_new();
    bool early = false, late = false;
    for (int64_t nominal = 0; nominal < 1000; nominal++) {
        int64_t jitter = timing_jitter_ms(&schedule, nominal, 60);
        cr_expect(jitter >= 0 && jitter <= 60000);
        cr_expect_eq(timing_jitter_ms(&schedule, nominal, 60), jitter);
        early = early || jitter < 6000;
        late = late || jitter > 54000;
    }
    cr_expect(early && late);
    cr_expect_eq(timing_jitter_ms(&schedule, 1, 0), 0);
}
