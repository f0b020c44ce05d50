/* `--check`: tests which sandbox features this machine offers to this user. Each feature is exercised,
 * because the kernel's configuration, a container's seccomp profile and AppArmor can each forbid it. */
#pragma once

#include <sys/types.h>

/* Prints {"pieces": {name: bool, …}, "missing": […], "fatal": […], "causes": [{piece, message, remedy}]} to
 * standard output, and each cause with its remedy to standard error. The piece "run" is a whole run of a
 * command: it is fatal if that does not work, whatever the other pieces say. Returns the exit status: 0 if
 * every feature is available; 3 if a feature is missing that a job can accept as missing; 4 if a feature is
 * missing that every job needs. `uid` as in a job: the slot's uid if the caller is root, else 0. */
int runner_check(void *ctx, uid_t uid);
