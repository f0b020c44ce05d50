#include "base/sched.h"

#include <linux/sched/types.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Thread_local bool is_on;

void sched_set_long_slices(bool on)
{
    struct sched_attr attr;
    if (on == is_on)
        return;
    is_on = on;
    memset(&attr, 0, sizeof attr);
    if (syscall(SYS_sched_getattr, 0, &attr, sizeof attr, 0) != 0)
        return;
    attr.sched_runtime = on ? SCHED_LONG_SLICE_NS : 0; /* 0: the usual */
    (void)syscall(SYS_sched_setattr, 0, &attr, 0);
}

void sched_run_behind(void)
{
    (void)setpriority(PRIO_PROCESS, 0, SCHED_BEHIND_NICE); /* on Linux: of this thread */
}
