#include <criterion/criterion.h>

#include "base/retry_schedule.h"

Test(retry_schedule, has_one_try_more_than_pauses)
{
    struct retry_schedule s;
    cr_assert(retry_schedule_parse("5,300,0", &s));
    cr_assert_eq(retry_schedule_ms(&s, 1, 0, 0), 5000);
    cr_assert_eq(retry_schedule_ms(&s, 2, 0, 0), 300000);
    cr_assert_eq(retry_schedule_ms(&s, 3, 0, 0), 0);
    cr_assert_eq(retry_schedule_ms(&s, 4, 0, 0), -1);
    cr_assert_eq(retry_schedule_ms(&s, 4, 0, 1000), -1);
}

Test(retry_schedule, spreads_by_a_tenth_and_waits_for_retry_after)
{
    struct retry_schedule s;
    cr_assert(retry_schedule_parse("36000", &s));
    int64_t least_ms = INT64_MAX, most_ms = 0;
    for (uint32_t random = 0; random < 5000; random++) {
        int64_t ms = retry_schedule_ms(&s, 1, random * 2654435761U, 0);
        least_ms = ms < least_ms ? ms : least_ms;
        most_ms = ms > most_ms ? ms : most_ms;
    }
    cr_assert(least_ms >= 36000000 && least_ms < 36100000 && most_ms > 39000000 && most_ms < 39600000);
    cr_assert_eq(retry_schedule_ms(&s, 1, 7, 99000000), 99000000);
}

Test(retry_schedule, rejects_what_is_not_a_list_of_seconds)
{
    struct retry_schedule s;
    static const char *const wrong[] = {"",
                                        ",",
                                        "1,",
                                        "1,,2",
                                        " 1",
                                        "1 ",
                                        "-1",
                                        "+1",
                                        "1.5",
                                        "abc",
                                        "1;2",
                                        "604801",
                                        "99999999999999999999",
                                        "0x10"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_assert_not(retry_schedule_parse(wrong[i], &s), "%s", wrong[i]);
    char many[2 * (RETRY_PAUSES_MAX + 1) + 1];
    for (int i = 0; i <= RETRY_PAUSES_MAX; i++) {
        many[2 * i] = '1';
        many[2 * i + 1] = ',';
    }
    many[2 * RETRY_PAUSES_MAX + 1] = '\0';
    cr_assert_not(retry_schedule_parse(many, &s));
    many[2 * RETRY_PAUSES_MAX - 1] = '\0';
    cr_assert(retry_schedule_parse(many, &s));
    cr_assert_eq(s.pauses_n, RETRY_PAUSES_MAX);
    cr_assert(retry_schedule_parse("604800", &s));
}
