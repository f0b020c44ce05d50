#include <criterion/criterion.h>

#include "service/progress.h"

static const struct stall_limits limits = {.look_max = 2000, .report = 3000, .dead = 60000};

static enum stall_event look(struct stall *s, struct progress *p, int64_t elapsed_ms)
{
    struct progress_seen seen = progress_look(p);
    int64_t stalled_ms;
    return stall_observe(s, &limits, &seen, elapsed_ms, &stalled_ms);
}

Test(progress, an_idle_thread_does_not_stall)
{
    struct progress p = {0};
    struct stall s = {0};
    progress_begin(&p, "call", NULL);
    progress_idle(&p);
    for (int i = 0; i < 100; i++)
        cr_assert_eq(look(&s, &p, 1000), STALL_NONE);
}

Test(progress, a_stall_is_reported_once_and_its_end_once)
{
    struct progress p = {0};
    struct stall s = {0};
    progress_begin(&p, "call", NULL);
    cr_expect_eq(look(&s, &p, 1000), STALL_NONE, "a step was taken");
    cr_expect_eq(look(&s, &p, 1000), STALL_NONE);
    cr_expect_eq(look(&s, &p, 1000), STALL_NONE);
    cr_expect_eq(look(&s, &p, 1000), STALL_BEGAN, "3 s");
    cr_expect_eq(look(&s, &p, 1000), STALL_NONE);
    progress_step(&p);
    cr_expect_eq(look(&s, &p, 1000), STALL_ENDED);
    cr_expect_eq(look(&s, &p, 1000), STALL_NONE);
}

Test(progress, a_thread_is_dead_after_60_s)
{
    struct progress p = {0};
    struct stall s = {0};
    progress_begin(&p, "call", NULL);
    look(&s, &p, 1000);
    int looks = 1;
    while (look(&s, &p, 1000) != STALL_DEAD)
        looks++;
    cr_assert_eq(looks, 60);
}

/* The whole process was stopped: the watching thread was, too, and has looked once. */
Test(progress, one_long_look_is_no_stall)
{
    struct progress p = {0};
    struct stall s = {0};
    progress_begin(&p, "call", NULL);
    look(&s, &p, 1000);
    cr_assert_eq(look(&s, &p, 3600000), STALL_NONE);
}

Test(progress, tells_what_is_done_for_which_run)
{
    struct progress p = {0};
    id run = id_new();
    progress_begin(&p, "commit", &run);
    struct progress_seen seen = progress_look(&p);
    cr_expect_str_eq(seen.doing, "commit");
    cr_expect(id_equal(&seen.run, &run));
    progress_begin(&p, "claim", NULL);
    seen = progress_look(&p);
    cr_expect_not(id_is_set(&seen.run));
}
