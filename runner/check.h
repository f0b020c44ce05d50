/* `--check`: which pieces of the sandbox this machine, and this user, can have. Each is tried, not looked up:
 * a kernel's configuration, a container's seccomp profile and AppArmor all have a say. */
#pragma once

#include <sys/types.h>

/* Prints {"pieces": {name: bool, …}, "missing": […], "fatal": […]} and returns 0 when nothing is missing, 3
 * when some piece is that a job can accept as missing, 4 when one is that nothing runs without. uid as in a
 * job. */
int runner_check(void *ctx, uid_t uid);
