/* Samples a running sandbox from outside: memory, processes, bytes written, disk use. Sampling is needed
 * because without a delegated cgroup the kernel keeps no totals for a tree of processes; rlimits bound what
 * one process can do between two samples (init.c). The sampler reads through the sandbox's own /proc, so the
 * cost depends on the sandbox's processes, not on the host's. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct runner_usage {
    /* anonymous memory, shared memory and swap; file pages are not counted, because the kernel can drop them
     */
    uint64_t memory_bytes;
    /* processes and threads, without process 1 */
    unsigned tasks;
    /* processes without process 1, and the last of them in the sandbox's pid namespace */
    unsigned processes;
    int pid;
    /* bytes ever written by the processes that are alive, and by their children that they have waited for */
    uint64_t written_bytes;
};

/* Opens the sandbox's /proc through its process 1 (a pid of the caller's namespace). Returns the descriptor,
 * or -1. */
int sampler_open_proc(pid_t init_pid);

/* Takes one sample. The first sum counts pages shared after fork() once per process. If it exceeds
 * `memory_max`, a slower exact sum replaces it; if that does as well, it is taken again, at most twice: while
 * processes that share pages end, those that are read later count for those that were read before. False if
 * no process could be read. */
bool sampler_usage(int proc_fd, uint64_t memory_max, struct runner_usage *usage_r);

/* True if the process sees the mounts that process 1 of the sandbox sees, and no others. */
bool sampler_same_mounts(int proc_fd, int pid);

/* Returns the disk use in bytes of the folder `work_fd`, including files that were unlinked but are still
 * open in a process; UINT64_MAX if there are too many files to count (untrusted_dir.h). */
uint64_t sampler_disk_bytes(int proc_fd, int work_fd, const char **why_r);
