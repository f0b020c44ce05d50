#include <criterion/criterion.h>

#include "maintenance/retention.h"

enum { HOUR = 3600000 };
static const int64_t NOW = 1000 * (int64_t)HOUR, DAY = 24 * (int64_t)HOUR;

static enum retention_choice choose(bool has_ended, bool is_purged, int64_t changed_ms, bool removes,
                                    int64_t *due_ms_r)
{
    const struct retention_run run = {has_ended, is_purged, changed_ms};
    return retention_choose(&run, removes, NOW, due_ms_r);
}

Test(retention_choose, skips_a_run_that_has_not_ended_for_an_hour)
{
    int64_t due_ms = 0;
    cr_expect_eq(choose(false, false, 0, false, &due_ms), RETENTION_SKIP);
    cr_expect_eq(due_ms, NOW + HOUR);
    cr_expect_eq(choose(false, false, 0, true, &due_ms), RETENTION_SKIP);
    cr_expect_eq(due_ms, NOW + HOUR);
}

Test(retention_choose, purges_a_run_once_it_has_ended)
{
    int64_t due_ms;
    cr_expect_eq(choose(true, false, NOW, false, &due_ms), RETENTION_ERASE);
    cr_expect_eq(choose(true, true, NOW, false, &due_ms), RETENTION_PASS);
}

Test(retention_choose, removes_a_run_a_day_after_its_end)
{
    int64_t due_ms = 0;
    cr_expect_eq(choose(true, true, NOW - DAY, true, &due_ms), RETENTION_ERASE);
    cr_expect_eq(choose(true, false, NOW - DAY, true, &due_ms), RETENTION_ERASE);
    cr_expect_eq(choose(true, false, NOW - DAY + 1, true, &due_ms), RETENTION_SKIP);
    cr_expect_eq(due_ms, NOW + 1);
    cr_expect_eq(choose(true, false, NOW, true, &due_ms), RETENTION_SKIP);
    cr_expect_eq(due_ms, NOW + HOUR, "looked at every hour at least");
}
