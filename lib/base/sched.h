/* Scheduling of threads and processes that compute for long. On Linux 6.12 and later a thread that wakes up
 * waits until the running one has used its slice (1.4 ms with two processors, 2.8 ms with eight), even one of
 * a lower priority, unless that one has a longer slice (PREEMPT_SHORT). A request passes some ten threads, so
 * beside work that takes 100 ms each of them waits in turn. With long slices such work gets as much of a
 * processor as before, and gives way at once to what wakes up. Measured on one busy processor, the median
 * delay of a thread that wakes up: 1.7 ms beside a thread that computes, 0.3 ms beside one with long slices,
 * as without any. Where the kernel knows no slices of threads, they have no effect. */
#pragma once

#include <stdbool.h>

enum {
    /* The longest slice that Linux allows. */
    SCHED_LONG_SLICE_NS = 100000000,
    SCHED_MIDDLE_SLICE_NS = 50000000,
    /* A tenth of the weight of a thread with the usual niceness. */
    SCHED_BEHIND_NICE = 10,
};

/* The calling thread from now on has long slices, or those of every thread. Needs no right. Costs two system
 * calls where it changes something. */
void sched_set_long_slices(bool on);
/* The calling process, and all that it forks, gives way to the threads of services as with long slices, and
 * need not wait until a process with long slices has used its own. Before sched_set_long_slices(). */
void sched_set_middle_slices(void);
/* The calling thread, and all that it forks from now on, has the niceness SCHED_BEHIND_NICE for good. It
 * needs no right. The kernel compares niceness only within one control group; without control groups it makes
 * one for each session (kernel.sched_autogroup_enabled). This sets no long slices: while many processes with
 * long slices slept and woke up all the time, a thread of another program waited for 250 ms. */
void sched_run_behind(void);
