/* Starting bubblewrap. What the command sees: /usr and its library links, a few files of /etc, its skill's
 * folder at /skill (read-only), its run's at /work, a /proc of its own, a minimal /dev, and bounded tmpfs at
 * /tmp and /dev/shm. It is uid 1000 inside and the slot's user (or the caller, who is not root) outside;
 * never uid 0. */
#pragma once

#include <sys/types.h>

#include "runner/job.h"

struct runner_sandbox {
    pid_t guard; /* to wait for and to kill: process 1 of an outer pid namespace, so its end is everybody's */
    int control_fd; /* write 'T': TERM to everybody inside; closed: everybody dies */
    int note_fd;    /* a socket: struct runner_init_note, with the sender's pid as SCM_CREDENTIALS */
    int out_fd, err_fd;
};

enum err runner_sandbox_start(void *ctx, const struct runner_job *job, struct runner_sandbox *box_r,
                              const char **why_r) WARN_UNUSED;
