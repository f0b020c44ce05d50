#include "base/sched.h"

#include <linux/sched/types.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Thread_local bool is_on;

static void set_slices(uint64_t ns)
{
    struct sched_attr attr;
    memset(&attr, 0, sizeof attr);
    if (syscall(SYS_sched_getattr, 0, &attr, sizeof attr, 0) != 0)
        return;
    attr.sched_runtime = ns;
    (void)syscall(SYS_sched_setattr, 0, &attr, 0);
}

void sched_set_long_slices(bool on)
{
    if (on == is_on)
        return;
    is_on = on;
    set_slices(on ? SCHED_LONG_SLICE_NS : 0); /* 0: the usual */
}

void sched_set_middle_slices(void)
{
    set_slices(SCHED_MIDDLE_SLICE_NS);
}

void sched_run_behind(void)
{
    (void)setpriority(PRIO_PROCESS, 0, SCHED_BEHIND_NICE); /* on Linux: of this thread */
}
