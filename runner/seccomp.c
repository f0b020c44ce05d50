#define _GNU_SOURCE
#include "runner/seccomp.h"

#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "runner/filters.h" /* build/gen: the programs, put together by runner/filters */

int runner_seccomp_open(bool network)
{
    const struct sock_filter *program = network ? filter_network : filter_offline;
    size_t size = (network ? filter_network_n : filter_offline_n) * sizeof *program;
    int fd = memfd_create("filter", MFD_CLOEXEC);
    if (fd >= 0 && (write(fd, program, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET) != 0)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

bool runner_seccomp_compute_only(void)
{
    const struct sock_fprog program = {(unsigned short)filter_compute_n,
                                       (struct sock_filter *)filter_compute};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}
