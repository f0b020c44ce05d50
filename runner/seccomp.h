/* The seccomp filters. Namespaces hide things; these take away the calls that need nothing visible: sockets
 * of exotic families (a read-only bind does not stop connect() on a Unix socket), new namespaces and mounts,
 * tracing, keyrings, and memory or disk that no sampling would see (memfd, SysV shared memory, fallocate
 * beyond the file's end). */
#pragma once

#include <stdbool.h>

/* The command's filter as a BPF program in a memfd at offset 0, for `bwrap --seccomp`. -1 where it cannot be
 * made. */
int runner_seccomp_open(bool network);

/* Confines the calling process, for good, to computing and to reading and writing what it has open. */
bool runner_seccomp_compute_only(void);
