/* Looking at a running sandbox from outside: memory, processes, and what it wrote. Sampled, because without a
 * delegated cgroup nothing in the kernel counts a tree; what one process can do between two samples is
 * bounded by rlimits (init.c). Reads through the sandbox's own /proc, so the cost is that of its processes,
 * not the host's. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct runner_usage {
    uint64_t memory_bytes;  /* anonymous and shared memory and swap; file pages are the kernel's to drop */
    unsigned tasks;         /* processes and threads, process 1 not counted */
    uint64_t written_bytes; /* ever, by processes that live or were waited for */
};

/* The sandbox's /proc as seen through its process 1 (a pid of this namespace), or -1. */
int sampler_open_proc(pid_t init_pid);

/* One look. Where the cheap sum (which counts pages shared by fork once for each process) passes memory_max,
 * the exact one replaces it. False when nothing could be read. */
bool sampler_usage(int proc_fd, uint64_t memory_max, struct runner_usage *usage_r);

/* Bytes of the folder `work_fd`, with files that were unlinked but are held open; UINT64_MAX: too many to
 * count. */
uint64_t sampler_disk_bytes(int proc_fd, int work_fd);
