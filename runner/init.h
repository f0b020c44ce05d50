/* The sandbox's process 1: this program again, started by bubblewrap inside the new namespaces. It starts the
 * command with its rlimits, reaps orphans, sends SIGTERM to all processes when the runner asks for it ('T' on
 * the control pipe), stops all of them between two jobs of a warm skill ('P') and lets them continue ('C'),
 * and exits when the command has ended, which makes the kernel kill all other processes of the pid namespace.
 * It holds the read end of the runner's control pipe and exits when that pipe closes, so a dead runner leaves
 * no process behind. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A message from process 1 to the runner: one packet of a SOCK_SEQPACKET socket. */
struct runner_init_note {
    /* 'S': the command was started; 'X': the exec failed; 'E': the command ended; 'P': all processes are
     * stopped, the command's threads too */
    char kind;
    /* 'X': errno; 'E': the wait status */
    int value;
    /* 'E': largest resident set of one process that was waited for; otherwise 0 */
    int64_t peak_bytes;
};

struct runner_init_limits {
    uint64_t memory_bytes, file_bytes;
    unsigned processes_max;
    /* the command must not change its slices: false only where the kernel has no filters */
    bool keeps_slices;
    /* of the workspace, for command_groups_enter(); -1: none */
    int group_fd;
};

/* argv: --init CONTROL_FD NOTE_FD MEMORY FILE PROCESSES KEEPS_SLICES GROUP_FD -- COMMAND … */
int runner_init_main(int argc, char **argv);
