/* Control groups of the processor: one for the commands of each workspace, with equal weights, so that a
 * workspace whose commands have a thousand processes gets no more than one whose command is alone.
 *
 * They are made below the group of the process that starts commands, which needs the right to do so: in
 * millrace-runner.service Delegate=cpu. systemd, since version 251, marks that group with user.delegate. They
 * are of version 2. Without the right, with version 1, or where /sys/fs/cgroup is not writable, as in most
 * containers, there are no groups, and the kernel divides the processors equally among processes.
 *
 * What starts a command comes before what commands compute: it takes locks of the kernel that every other
 * start needs (the expedited grace periods of mounts and namespaces), and behind a thousand processes of its
 * own workspace it would hold them for seconds. So the process that starts commands, guards and bubblewrap
 * are in a group `starting` with a greater weight, whose time is charged to no workspace. A runner is in the
 * group of its workspace, except while it forks the guard and while it gives back the sandbox's mounts;
 * process 1 of the sandbox and the command enter that group when the command is executed.
 *
 * Groups without a process and without a runner that holds them are removed every COMMAND_GROUPS_SWEEP_MS.
 * When this process ends, they stay, and the next one takes them over. */
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
 * NULL, no name or cannot be made, in one for all others; without groups, in that of this process. -1 with
 * errno: it was not started, and never is outside the groups. */
pid_t command_groups_spawn(const struct command_groups *g, const char *workspace, const char *program,
                           const char *const args[], int in, int out);
/* Removes the groups that have no processes. True: others are left. */
bool command_groups_sweep(const struct command_groups *g);

/* What a runner and what it starts need to change between two groups. `workspace` and `starting` are
 * descriptors for command_groups_enter(); since Linux 5.16 the kernel checks the permissions of the process
 * that opened them, not of the one that writes. An open `dir` keeps the group of the workspace from being
 * removed. -1: the runner is in no such group. */
struct command_groups_own {
    int dir, workspace, starting;
};

#define COMMAND_GROUPS_NONE ((struct command_groups_own){-1, -1, -1})

void command_groups_open_own(struct command_groups_own *own);
/* Moves the calling thread, the only one of its process. True also for -1, which does nothing. */
bool command_groups_enter(int group);
