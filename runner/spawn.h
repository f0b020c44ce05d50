/* Starts a program from a process that continues. */
#pragma once

#include <sys/types.h>

/* Runs child(arg) in a child process that shares this process's memory (CLONE_VM | CLONE_VFORK). The caller
 * is suspended until the child has executed another program or exited. This avoids copying the page tables,
 * which costs more than a short command does. The child has its own descriptors, signal mask and limits; it
 * must not modify the caller's memory, except what `arg` offers for that. Its return value is its exit
 * status.
 *
 * Returns the child's pid, or -1 with errno. Call it at most once in a process: all calls would share one
 * stack. */
pid_t runner_spawn(int (*child)(void *), void *arg);
