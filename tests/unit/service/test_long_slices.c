#include <criterion/criterion.h>
#include <linux/sched/types.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "service/long_slices.h"

static struct sched_attr own_attr(void)
{
    struct sched_attr attr;
    memset(&attr, 0, sizeof attr);
    cr_assert_eq(syscall(SYS_sched_getattr, 0, &attr, sizeof attr, 0), 0);
    return attr;
}

/* Kernels before 6.12 know no slices of threads and report 0. */
Test(long_slices, can_be_set_and_taken_back)
{
    struct sched_attr before = own_attr();
    long_slices_set(true);
    struct sched_attr during = own_attr();
    long_slices_set(true);
    long_slices_set(false);
    struct sched_attr after = own_attr();
    cr_expect_eq(after.sched_runtime, before.sched_runtime);
    if (before.sched_runtime > 0)
        cr_expect_eq(during.sched_runtime, (unsigned long long)LONG_SLICE_NS);
    cr_expect(during.sched_policy == before.sched_policy && during.sched_nice == before.sched_nice);
    cr_expect(after.sched_policy == before.sched_policy && after.sched_nice == before.sched_nice);
}
