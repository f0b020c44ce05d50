#include <criterion/criterion.h>

#include "fcgi/shared/admission.h"

enum { QUEUE = 100, WORKERS = 2, SHORT_QUEUE = (ADMISSION_BACKLOG + 1) * WORKERS + 1, START = 1000000 };
static const struct admission_limits limits = {QUEUE, WORKERS};

static bool take_and_admit(struct admission *a, int64_t now_ms, int64_t waited_ms)
{
    admission_count_start(a, now_ms);
    return admission_admits(a, now_ms, waited_ms, limits);
}

/* Offers one request per millisecond, each of which waited for `waited_ms`. Returns how many were
 * admitted. */
static int offer_requests(struct admission *a, int64_t *now_ms, int count, int64_t waited_ms)
{
    int admitted = 0;
    for (int i = 0; i < count; i++)
        admitted += take_and_admit(a, (*now_ms)++, waited_ms);
    return admitted;
}

Test(admission, admits_requests_within_the_limit)
{
    struct admission a = {0};
    int64_t now = START;
    cr_assert_eq(offer_requests(&a, &now, 5000, QUEUE), 5000);
    cr_assert_eq(admission_overload_ms(&a, now), 0);
}

Test(admission, admits_a_whole_burst)
{
    struct admission a = {0};
    int64_t now = START;
    cr_assert_eq(offer_requests(&a, &now, ADMISSION_PATIENCE_MS, 900), ADMISSION_PATIENCE_MS);
    cr_assert_eq(admission_overload_ms(&a, now), 0);
}

Test(admission, a_gap_in_traffic_resets_the_timer)
{
    struct admission a = {0};
    for (int64_t now = START, i = 0; i < 100; i++, now += ADMISSION_PATIENCE_MS + 1)
        cr_assert(take_and_admit(&a, now, 900));
}

Test(admission, long_waits_in_a_short_queue_are_no_overload)
{
    struct admission a = {0};
    enum { EACH_MS = 50 };
    int64_t now = START, waited_ms = EACH_MS * SHORT_QUEUE + 1;
    for (int i = 0; i < 1000; i++, now += EACH_MS)
        cr_assert(take_and_admit(&a, now, waited_ms));
    cr_assert_eq(admission_overload_ms(&a, now), 0);
    for (int i = 0; i < 1000; i++, now += EACH_MS)
        (void)take_and_admit(&a, now, waited_ms + EACH_MS);
    cr_assert_gt(admission_overload_ms(&a, now), 0, "one more before each is a queue");
}

/* The requests of one batch are answered together, so requests are started in bursts. */
Test(admission, waiting_through_a_gap_keeps_the_timer)
{
    struct admission a = {0};
    int64_t now = START;
    for (int burst = 0; burst < 10; burst++, now += 2 * ADMISSION_PATIENCE_MS) {
        for (int i = 0; i < 2 * SHORT_QUEUE; i++)
            (void)take_and_admit(&a, now, 3 * ADMISSION_PATIENCE_MS);
    }
    cr_assert_gt(admission_overload_ms(&a, now), 0);
}

Test(admission, unchecked_requests_count_towards_the_queue)
{
    struct admission a = {0};
    int64_t now = START;
    for (int i = 0; i < 1000; i++, now += 10) {
        for (int k = 0; k < SHORT_QUEUE / 2; k++)
            admission_count_start(&a, now);
        (void)take_and_admit(&a, now, QUEUE + 1);
    }
    cr_assert_gt(admission_overload_ms(&a, now), 0);
}

Test(admission, a_standing_queue_is_an_overload)
{
    struct admission a = {0};
    int64_t now = START;
    /* the queue before the first requests is unknown */
    offer_requests(&a, &now, 1 + SHORT_QUEUE + ADMISSION_PATIENCE_MS, QUEUE + 1);
    cr_assert_eq(offer_requests(&a, &now, 1000, QUEUE + 1), 0);
    cr_assert_eq(admission_overload_ms(&a, now), ADMISSION_OVERLOAD_MS - 1000);
    cr_assert_eq(offer_requests(&a, &now, 100, QUEUE / 5), 100, "those in time are served all the while");
    cr_assert_eq(offer_requests(&a, &now, 100, QUEUE / 5 + 1), 0, "one moment of peace is not the end of it");
}

Test(admission, a_second_overload_is_detected_sooner)
{
    struct admission a = {0};
    int64_t now = START;
    offer_requests(&a, &now, 1 + SHORT_QUEUE + ADMISSION_PATIENCE_MS + ADMISSION_OVERLOAD_MS, QUEUE + 1);
    cr_assert_eq(admission_overload_ms(&a, now), 0);
    cr_assert_eq(offer_requests(&a, &now, 100, QUEUE / 5), 100);
    cr_assert_eq(admission_overload_ms(&a, now), 0);
    cr_assert_eq(offer_requests(&a, &now, QUEUE / 2, QUEUE / 5 + 1), QUEUE / 2,
                 "a burst of that time is none");
    cr_assert_eq(admission_overload_ms(&a, now), 0);
    cr_assert_eq(offer_requests(&a, &now, 1, QUEUE / 5 + 1), 0);
    cr_assert_gt(admission_overload_ms(&a, now), 0, "it is not over");
}

Test(admission, probation_ends)
{
    struct admission a = {0};
    int64_t now = START;
    offer_requests(&a, &now, ADMISSION_PATIENCE_MS + 2 * ADMISSION_OVERLOAD_MS, QUEUE + 1);
    now += 2 * ADMISSION_OVERLOAD_MS;
    cr_assert_eq(offer_requests(&a, &now, 100, QUEUE + 1), 100);
}

Test(admission, rejects_requests_beyond_the_maximum_age)
{
    struct admission a = {0};
    cr_assert_not(take_and_admit(&a, START, ADMISSION_AGE_MAX_MS + 1));
    cr_assert(take_and_admit(&a, START + 1, ADMISSION_AGE_MAX_MS));
}
