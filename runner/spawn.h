/* Starting a program from a process that goes on. */
#pragma once

#include <sys/types.h>

/* Runs child(arg) in a child that shares this process's memory, while this process waits until it has
 * executed another program or ended: the copy of the page tables that a fork makes costs more than a short
 * command does. The child has descriptors, signal mask and limits of its own and must not touch what it does
 * not own; what it returns is its exit code. Its pid; -1 with errno. Once a process: they would share a
 * stack. */
pid_t runner_spawn(int (*child)(void *), void *arg);
