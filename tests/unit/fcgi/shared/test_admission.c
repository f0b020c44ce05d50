#include <criterion/criterion.h>

#include "fcgi/shared/admission.h"

enum { QUEUE = 100, WORKERS = 2, FEW = (ADMISSION_BACKLOG + 1) * WORKERS + 1, START = 1000000 };
static const struct admission_limits limits = {QUEUE, WORKERS};

static bool admits(struct admission *a, int64_t now_ms, int64_t waited_ms)
{
    admission_take(a, now_ms);
    return admission_admits(a, now_ms, waited_ms, limits);
}

/* One request a millisecond, each having waited as long; how many of them were admitted. */
static int offer(struct admission *a, int64_t *now_ms, int count, int64_t waited_ms)
{
    int admitted = 0;
    for (int i = 0; i < count; i++)
        admitted += admits(a, (*now_ms)++, waited_ms);
    return admitted;
}

Test(admission, those_in_time_are_admitted)
{
    struct admission a = {0};
    int64_t now = START;
    cr_assert_eq(offer(&a, &now, 5000, QUEUE), 5000);
    cr_assert_eq(admission_overload_ms(&a, now), 0);
}

Test(admission, a_burst_is_served_whole)
{
    struct admission a = {0};
    int64_t now = START;
    cr_assert_eq(offer(&a, &now, ADMISSION_PATIENCE_MS, 900), ADMISSION_PATIENCE_MS);
    cr_assert_eq(admission_overload_ms(&a, now), 0);
}

Test(admission, who_is_late_after_a_pause_is_no_queue)
{
    struct admission a = {0};
    for (int64_t now = START, i = 0; i < 100; i++, now += ADMISSION_PATIENCE_MS + 1)
        cr_assert(admits(&a, now, 900));
}

Test(admission, few_that_wait_for_long_are_no_queue)
{
    struct admission a = {0};
    enum { EACH_MS = 50 };
    int64_t now = START, waited_ms = EACH_MS * FEW + 1;
    for (int i = 0; i < 1000; i++, now += EACH_MS)
        cr_assert(admits(&a, now, waited_ms));
    cr_assert_eq(admission_overload_ms(&a, now), 0);
    for (int i = 0; i < 1000; i++, now += EACH_MS)
        (void)admits(&a, now, waited_ms + EACH_MS);
    cr_assert_gt(admission_overload_ms(&a, now), 0, "one more before each is a queue");
}

/* A group's commit sets all of its workers free at once. */
Test(admission, a_pause_that_they_waited_through_is_none)
{
    struct admission a = {0};
    int64_t now = START;
    for (int burst = 0; burst < 10; burst++, now += 2 * ADMISSION_PATIENCE_MS) {
        for (int i = 0; i < 2 * FEW; i++)
            (void)admits(&a, now, 3 * ADMISSION_PATIENCE_MS);
    }
    cr_assert_gt(admission_overload_ms(&a, now), 0);
}

Test(admission, those_that_are_not_judged_are_in_the_way_too)
{
    struct admission a = {0};
    int64_t now = START;
    for (int i = 0; i < 1000; i++, now += 10) {
        for (int k = 0; k < FEW / 2; k++)
            admission_take(&a, now);
        (void)admits(&a, now, QUEUE + 1);
    }
    cr_assert_gt(admission_overload_ms(&a, now), 0);
}

Test(admission, a_queue_that_stays_is_an_overload)
{
    struct admission a = {0};
    int64_t now = START;
    /* of the first ones nobody knows how many were before them */
    offer(&a, &now, 1 + FEW + ADMISSION_PATIENCE_MS, QUEUE + 1);
    cr_assert_eq(offer(&a, &now, 1000, QUEUE + 1), 0);
    cr_assert_eq(admission_overload_ms(&a, now), ADMISSION_OVERLOAD_MS - 1000);
    cr_assert_eq(offer(&a, &now, 100, QUEUE / 5), 100, "those in time are served all the while");
    cr_assert_eq(offer(&a, &now, 100, QUEUE / 5 + 1), 0, "one moment of peace is not the end of it");
}

Test(admission, it_comes_back_sooner_than_it_came)
{
    struct admission a = {0};
    int64_t now = START;
    offer(&a, &now, 1 + FEW + ADMISSION_PATIENCE_MS + ADMISSION_OVERLOAD_MS, QUEUE + 1);
    cr_assert_eq(admission_overload_ms(&a, now), 0);
    cr_assert_eq(offer(&a, &now, 100, QUEUE / 5), 100);
    cr_assert_eq(admission_overload_ms(&a, now), 0);
    cr_assert_eq(offer(&a, &now, QUEUE / 2, QUEUE / 5 + 1), QUEUE / 2, "a burst of that time is none");
    cr_assert_eq(admission_overload_ms(&a, now), 0);
    cr_assert_eq(offer(&a, &now, 1, QUEUE / 5 + 1), 0);
    cr_assert_gt(admission_overload_ms(&a, now), 0, "it is not over");
}

Test(admission, it_is_forgotten_where_it_does_not)
{
    struct admission a = {0};
    int64_t now = START;
    offer(&a, &now, ADMISSION_PATIENCE_MS + 2 * ADMISSION_OVERLOAD_MS, QUEUE + 1);
    now += 2 * ADMISSION_OVERLOAD_MS;
    cr_assert_eq(offer(&a, &now, 100, QUEUE + 1), 100);
}

Test(admission, what_is_too_old_is_refused_on_the_quietest_day)
{
    struct admission a = {0};
    cr_assert_not(admits(&a, START, ADMISSION_AGE_MAX_MS + 1));
    cr_assert(admits(&a, START + 1, ADMISSION_AGE_MAX_MS));
}
