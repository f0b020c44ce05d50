#include <criterion/criterion.h>

#include "fcgi/shared/accept_latency.h"

enum { START = 1000000 };

/* Counts `n` requests in `ms` milliseconds. Returns how many windows they ended. */
static int count(struct accept_latency *l, int64_t *now_ms, int n, int64_t ms, int64_t us, int64_t *median_us)
{
    int ended = 0;
    for (int i = 0; i < n; i++) {
        *now_ms += ms / n;
        ended += accept_latency_add(l, us, *now_ms, median_us);
    }
    return ended;
}

Test(accept_latency, reports_the_median_four_times_a_second)
{
    struct accept_latency l = {0};
    int64_t now = START, median = 0;
    count(&l, &now, 1, 0, 1000, &median);
    int ended = count(&l, &now, 1000, 1000, 3000, &median);
    cr_assert(ended == 3 || ended == 4, "%d", ended);
    cr_assert(median > 2600 && median < 3400, "%lld", (long long)median);
    cr_assert_eq(accept_latency_us(&l, now), median);
    cr_assert_eq(accept_latency_us(&l, now + ACCEPT_LATENCY_WINDOW_MAX_MS + ACCEPT_LATENCY_WINDOW_MS), 0);
}

Test(accept_latency, is_not_moved_by_a_third_of_slow_requests)
{
    struct accept_latency l = {0};
    int64_t now = START, median = 0;
    for (int i = 0; i < 600; i++)
        accept_latency_add(&l, i % 3 == 0 ? 2000000 : 2000, ++now, &median);
    cr_assert(median > 1700 && median < 2300, "%lld", (long long)median);
}

Test(accept_latency, does_not_report_a_few_requests)
{
    struct accept_latency l = {0};
    int64_t now = START, median = 0;
    cr_assert_eq(count(&l, &now, 70, 10000, 900000, &median), 0);
    cr_assert_eq(accept_latency_us(&l, now), 0);
}

Test(accept_latency, does_not_report_what_was_before_a_gap)
{
    struct accept_latency l = {0};
    int64_t now = START, median = 0;
    count(&l, &now, 1, 0, 1000, &median);
    cr_assert_eq(count(&l, &now, 20, 200, 900000, &median), 0);
    now += 10000;
    cr_assert_eq(count(&l, &now, 1, 0, 1000, &median), 0);
    count(&l, &now, 1, 0, 1000, &median);
    cr_assert_eq(count(&l, &now, 400, 400, 1000, &median), 1);
    cr_assert(median < 1200, "%lld", (long long)median);
}

Test(accept_latency, counts_any_duration)
{
    static const int64_t durations[] = {-5, 0, 1, 3, 4, 5, 60000000, INT64_MAX};
    for (unsigned i = 0; i < sizeof durations / sizeof *durations; i++) {
        struct accept_latency l = {0};
        int64_t now = START, median = 0;
        count(&l, &now, 1, 0, 1000, &median);
        cr_assert_geq(count(&l, &now, 500, 500, durations[i], &median), 1);
        cr_assert_gt(median, 0);
    }
}
