/* Starts the command in a bubblewrap sandbox. The command sees /usr and its library links, a few files of
 * /etc, the skill's folder at /skill (read-only), the run's folder at /work, its own /proc, a minimal /dev,
 * and bounded tmpfs at /tmp and /dev/shm. Inside it has uid 1000; outside it has the slot's uid, or the
 * caller's uid if the caller is not root. It never has uid 0 outside. */
#pragma once

#include <sys/types.h>

#include "runner/job.h"

struct runner_sandbox {
    /* process 1 of the outer pid namespace; waiting for it waits for all processes of the run, and killing it
     * kills them */
    pid_t guard;
    /* writing 'T' sends SIGTERM to all processes inside; closing it kills them */
    int control_fd;
    /* socket that carries struct runner_init_note, with the sender's pid as SCM_CREDENTIALS */
    int note_fd;
    /* the command's standard output and standard error */
    int out_fd, err_fd;
    /* a warm command's standard input, non-blocking; -1: the command reads its inputs from a file */
    int in_fd;
};

/* Starts the guard. The caller owns the descriptors of *box_r. ERR_INVALID: uid and caller do not match;
 * ERR_INTERNAL: the system refused something. *why_r is then the reason, static or owned by ctx. */
enum err runner_sandbox_start(void *ctx, const struct runner_job *job, struct runner_sandbox *box_r,
                              const char **why_r) WARN_UNUSED;
