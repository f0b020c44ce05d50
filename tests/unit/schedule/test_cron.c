#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "schedule/cron.h"

enum { MS_PER_MINUTE = 60 * 1000 };

static int64_t minute_of(const char *text)
{
    return clock_parse(text) / MS_PER_MINUTE;
}

/* The first matching minute, not before `from`, as "2027-01-31T09:00". */
static const char *next_match(const char *expression, const char *from)
{
    static char text[CLOCK_TEXT_SIZE];
    struct cron cron;
    void *ctx = talloc_new(NULL);
    const char *problem = cron_parse(ctx, expression, &cron);
    cr_assert_null(problem, "%s: %s", expression, problem);
    talloc_free(ctx);
    int64_t found = cron_next_minute(&cron, minute_of(from));
    if (found == CRON_NEVER)
        return "never";
    clock_text_z(found * MS_PER_MINUTE, text);
    text[strlen("2027-01-31T09:00")] = '\0';
    return text;
}

static void expect_rejected(const char *expression)
{
    struct cron cron;
    void *ctx = talloc_new(NULL);
    cr_expect_not_null(cron_parse(ctx, expression, &cron), "accepted: %s", expression);
    talloc_free(ctx);
}

Test(cron, finds_the_next_minute)
{
    cr_expect_str_eq(next_match("* * * * *", "2027-01-01T00:00:00Z"), "2027-01-01T00:00");
    cr_expect_str_eq(next_match("0 9 * * *", "2027-01-31T09:01:00Z"), "2027-02-01T09:00");
    cr_expect_str_eq(next_match("59 23 31 12 *", "2027-01-01T00:00:00Z"), "2027-12-31T23:59");
    cr_expect_str_eq(next_match("0,30 8-9 * * *", "2027-01-01T08:31:00Z"), "2027-01-01T09:00");
    cr_expect_str_eq(next_match("*/25 * * * *", "2027-01-01T00:51:00Z"), "2027-01-01T01:00");
    cr_expect_str_eq(next_match("10-50/20 3 * * *", "2027-01-01T03:31:00Z"), "2027-01-01T03:50");
    cr_expect_str_eq(next_match("7/20 * * * *", "2027-01-01T00:28:00Z"), "2027-01-01T00:47");
}

Test(cron, reads_names_of_months_and_weekdays)
{
    cr_expect_str_eq(next_match("0 0 1 feb-Mar *", "2027-02-02T00:00:00Z"), "2027-03-01T00:00");
    cr_expect_str_eq(next_match("0 0 * * MON-FRI", "2027-01-02T00:00:00Z"), "2027-01-04T00:00");
    cr_expect_str_eq(next_match("0 0 * * fri-sun", "2027-01-03T00:00:00Z"), "2027-01-03T00:00");
    cr_expect_str_eq(next_match("0 0 * * 7", "2027-01-01T00:00:00Z"), "2027-01-03T00:00");
    cr_expect_str_eq(next_match("0 0 * * 0", "2027-01-01T00:00:00Z"), "2027-01-03T00:00");
}

Test(cron, day_matches_if_one_of_two_restricted_fields_matches)
{
    cr_expect_str_eq(next_match("0 0 13 * 5", "2027-01-02T00:00:00Z"), "2027-01-08T00:00");
    cr_expect_str_eq(next_match("0 0 13 * 5", "2027-01-09T00:00:00Z"), "2027-01-13T00:00");
    cr_expect_str_eq(next_match("0 0 13 * *", "2027-01-02T00:00:00Z"), "2027-01-13T00:00");
    cr_expect_str_eq(next_match("0 0 * * 5", "2027-01-02T00:00:00Z"), "2027-01-08T00:00");
    /* a step restricts */
    cr_expect_str_eq(next_match("0 0 */2 * 1", "2027-01-03T00:00:00Z"), "2027-01-03T00:00");
    cr_expect_str_eq(next_match("0 0 30 2 1", "2027-01-01T00:00:00Z"), "2027-02-01T00:00");
}

Test(cron, finds_the_last_day_and_the_last_weekday)
{
    cr_expect_str_eq(next_match("0 0 L * *", "2027-02-01T00:00:00Z"), "2027-02-28T00:00");
    cr_expect_str_eq(next_match("0 0 L 2 *", "2027-03-01T00:00:00Z"), "2028-02-29T00:00");
    cr_expect_str_eq(next_match("0 0 15,L * *", "2027-04-16T00:00:00Z"), "2027-04-30T00:00");
    cr_expect_str_eq(next_match("0 0 * * 5L", "2027-01-01T00:00:00Z"), "2027-01-29T00:00");
    cr_expect_str_eq(next_match("0 0 * * sunL", "2027-01-01T00:00:00Z"), "2027-01-31T00:00");
}

Test(cron, finds_leap_days)
{
    cr_expect_str_eq(next_match("0 0 29 2 *", "2027-01-01T00:00:00Z"), "2028-02-29T00:00");
    cr_expect_str_eq(next_match("0 0 29 2 *", "2096-03-01T00:00:00Z"), "2104-02-29T00:00");
    cr_expect_str_eq(next_match("0 0 29 2 *", "2000-02-29T00:00:00Z"), "2000-02-29T00:00");
}

Test(cron, rejects_what_is_no_expression)
{
    const char *wrong[] = {"",
                           " ",
                           "* * * *",
                           "* * * * * *",
                           "60 * * * *",
                           "* 24 * * *",
                           "* * 0 * *",
                           "* * 32 * *",
                           "* * * 0 *",
                           "* * * 13 *",
                           "* * * * 8",
                           "5-1 * * * *",
                           "*/0 * * * *",
                           "*/61 * * * *",
                           "1/ * * * *",
                           "/5 * * * *",
                           "1, * * * *",
                           ",1 * * * *",
                           "1-2-3 * * * *",
                           "-1 * * * *",
                           "1 - 2 * * *",
                           "L * * * *",
                           "* * L-1 * *",
                           "* * * * L",
                           "* * * * 1-5L",
                           "* * * * *L",
                           "* * 5L * *",
                           "* * * janu *",
                           "* * * * monday",
                           "* * * * */mon",
                           "**  * * * *",
                           "@daily",
                           "* * ? * *",
                           "0001 * * * *",
                           "\xc2\xbd * * * *",
                           "0 0 30 2 *",
                           "0 0 31 2,4,6,9,11 *"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        expect_rejected(wrong[i]);
    char large[CRON_TEXT_MAX + 64];
    memset(large, ' ', sizeof large);
    memcpy(large, "* * * * *", strlen("* * * * *"));
    large[sizeof large - 1] = '\0';
    expect_rejected(large);
}

Test(cron, knows_whether_the_hours_are_named)
{
    struct {
        const char *text;
        bool named;
    } cases[] = {{"0 2 * * *", true},     {"*/5 2,3 * * *", true}, {"0 9-17 * * *", true},
                 {"0 * * * *", false},    {"0 */2 * * *", false},  {"0 1-23/2 * * *", false},
                 {"0 2,*/6 * * *", false}};
    void *ctx = talloc_new(NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cron cron;
        cr_assert_null(cron_parse(ctx, cases[i].text, &cron));
        cr_expect_eq(cron.names_hours, cases[i].named, "%s", cases[i].text);
    }
    talloc_free(ctx);
}
