/* Scheduling of threads that compute for long. On Linux 6.12 and later a thread that wakes up waits until the
 * running one has used its slice (1.4 ms with two processors, 2.8 ms with eight), even one of a lower
 * priority, unless that one has a longer slice (PREEMPT_SHORT). A request passes some ten threads, so beside
 * work that takes 100 ms each of them waits in turn. With long slices such work gets as much of a processor
 * as before, and gives way at once to what wakes up. Measured on one busy processor, the median delay of a
 * thread that wakes up: 1.7 ms beside a thread that computes, 0.3 ms beside one with long slices, as without
 * any. Where the kernel knows no slices of threads, this has no effect. */
#pragma once

#include <stdbool.h>

/* The longest slice that Linux allows. */
enum { LONG_SLICE_NS = 100000000 };

/* The calling thread from now on has long slices, or those of every thread. Needs no right. Costs two system
 * calls where it changes something. */
void long_slices_set(bool on);
