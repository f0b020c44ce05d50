/* The seccomp filters. Namespaces hide resources; the filters forbid system calls that need no visible
 * resource: sockets of uncommon families (a read-only bind mount does not prevent connect() on a Unix
 * socket), new namespaces and mounts, tracing, keyrings, and memory or disk that sampling cannot see (memfd,
 * System V shared memory, fallocate beyond the end of a file). */
#pragma once

#include <stdbool.h>

/* Returns a memfd, at offset 0, that holds the command's filter as a BPF program for `bwrap --seccomp`. -1 on
 * failure. `network`: allow sockets of AF_INET and AF_INET6. */
int runner_seccomp_open(bool network);

/* Permanently forbids the calling process, and what it starts, to change its slices and its policy of
 * scheduling. False on failure. */
bool runner_seccomp_keep_slices(void);

/* Permanently confines the calling process to computing and to reading and writing its open descriptors.
 * False on failure. */
bool runner_seccomp_compute_only(void);
