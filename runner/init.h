/* The sandbox's process 1: this program again, started by bubblewrap inside the new namespaces. It starts the
 * command with its limits, reaps orphans, sends TERM to everybody when told, and ends with the command, which
 * ends all the others. It holds the read end of the runner's control pipe: when the runner is gone, so is
 * everything. */
#pragma once

#include <stdint.h>

/* What process 1 tells the runner: one message of a SEQPACKET socket each. */
struct runner_init_note {
    char kind; /* 'S' the command was started; 'X' it could not be, value = errno; 'E' it ended */
    int value; /* for 'E' the wait status */
    int64_t peak_bytes;
};

struct runner_init_limits {
    uint64_t memory_bytes, file_bytes;
    unsigned processes_max;
};

/* argv: --init CONTROL_FD NOTE_FD MEMORY FILE PROCESSES -- COMMAND … */
int runner_init_main(int argc, char **argv);
