/* Control groups of the processor: one for the commands of each workspace, with equal weights, so that a
 * workspace whose commands have a thousand processes gets no more than one whose command is alone.
 *
 * They are made below the group of the process that starts commands, which needs the right to do so: in
 * millrace-runner.service Delegate=cpu. systemd, since version 251, marks that group with user.delegate. A
 * group that has groups may have no processes: that process moves to the group `starter` beside them. They
 * are of version 2. Without the right, with version 1, or where /sys/fs/cgroup is not writable, as in most
 * containers, there are none, and each process has an equal share of the processors.
 *
 * Groups are removed when their commands have ended, every COMMAND_GROUPS_SWEEP_MS; when this process ends,
 * those of running commands stay. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

enum { COMMAND_GROUPS_SWEEP_MS = 10000 };

struct command_groups {
    /* descriptor of the group that holds them; -1: there are no groups */
    int dir;
};

/* Says in the log whether there are groups, and why not. */
void command_groups_open(struct command_groups *g);
/* Starts `program` as spawn_program (service/spawn.h) does, in the group of the workspace, or, if that is
 * NULL or no name, in one for all that is started for none; without groups, in that of this process. */
pid_t command_groups_spawn(const struct command_groups *g, const char *workspace, const char *program,
                           const char *const args[], int in, int out);
/* Removes the groups that have no processes. True: others are left. */
bool command_groups_sweep(const struct command_groups *g);
/* After that the next process that starts commands may enter the group that holds them: version 2 lets nobody
 * enter one that shares the processors among groups. The processes of running commands share it again until
 * that process is there. */
void command_groups_close(struct command_groups *g);
/* The same after the death of a process that did not come to it. */
void command_groups_release(void);
