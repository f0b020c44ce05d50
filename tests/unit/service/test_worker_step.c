#include "service/worker_step.h"

#include <criterion/criterion.h>

static struct worker_step new_step(void)
{
    return (struct worker_step){.worker = "test", .name = "step"};
}

Test(worker_step, rests_longer_after_each_error_that_does_not_pass)
{
    struct worker_step s = new_step();
    static const int64_t pauses[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000};
    cr_assert(worker_step_is_due(&s, 0));
    for (size_t i = 0; i < sizeof pauses / sizeof pauses[0]; i++) {
        worker_step_end(&s, ERR_INTERNAL, 500);
        cr_assert_not(worker_step_is_due(&s, 500 + pauses[i] - 1));
        cr_assert(worker_step_is_due(&s, 500 + pauses[i]));
    }
}

Test(worker_step, rests_for_a_second_after_each_error_that_may_pass)
{
    struct worker_step s = new_step();
    for (unsigned i = 1; i < 100; i++) {
        worker_step_end(&s, i % 2 ? ERR_UNAVAILABLE : ERR_RETRY, 7000);
        cr_assert_eq(s.rests_until_ms, 8000);
        cr_assert_eq(s.failures, i);
        cr_assert_eq(s.is_logged, i >= WORKER_STEP_TRANSIENT_MAX);
    }
}

Test(worker_step, begins_anew_after_a_success)
{
    struct worker_step s = new_step();
    for (int i = 0; i < 50; i++)
        worker_step_end(&s, ERR_INTERNAL, 1000);
    worker_step_end(&s, OK, 2000);
    cr_assert(worker_step_is_due(&s, 2000));
    cr_assert_eq(s.failures, 0);
    worker_step_end(&s, ERR_INTERNAL, 3000);
    cr_assert_eq(s.rests_until_ms, 4000);
}

Test(worker_step, keeps_the_pause_however_often_it_fails)
{
    struct worker_step s = new_step();
    s.failures = UINT32_MAX - 1;
    worker_step_end(&s, ERR_INTERNAL, 0);
    worker_step_end(&s, ERR_INTERNAL, 0);
    cr_assert_eq(s.failures, UINT32_MAX);
    cr_assert_eq(s.rests_until_ms, WORKER_STEP_PAUSE_MAX_MS);
}
