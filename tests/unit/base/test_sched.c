#include <criterion/criterion.h>
#include <linux/sched/types.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sched.h"

static struct sched_attr own_attr(void)
{
    struct sched_attr attr;
    memset(&attr, 0, sizeof attr);
    cr_assert_eq(syscall(SYS_sched_getattr, 0, &attr, sizeof attr, 0), 0);
    return attr;
}

/* Kernels before 6.12 know no slices of threads and report 0. */
Test(sched, long_slices_can_be_set_and_taken_back)
{
    struct sched_attr before = own_attr();
    sched_set_long_slices(true);
    struct sched_attr during = own_attr();
    sched_set_long_slices(true);
    sched_set_long_slices(false);
    struct sched_attr after = own_attr();
    cr_expect_eq(after.sched_runtime, before.sched_runtime);
    if (before.sched_runtime > 0)
        cr_expect_eq(during.sched_runtime, (unsigned long long)SCHED_LONG_SLICE_NS);
    cr_expect(during.sched_policy == before.sched_policy && during.sched_nice == before.sched_nice);
    cr_expect(after.sched_policy == before.sched_policy && after.sched_nice == before.sched_nice);
}

Test(sched, what_is_behind_has_the_niceness_and_the_usual_slices)
{
    struct sched_attr before = own_attr();
    sched_run_behind();
    struct sched_attr after = own_attr();
    cr_expect_eq(after.sched_nice, SCHED_BEHIND_NICE);
    cr_expect_eq(after.sched_runtime, before.sched_runtime);
}
