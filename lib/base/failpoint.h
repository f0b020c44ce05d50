/* Named points at which the fault harness may kill a process. They exist only in builds with VARIANT=crash:
 * there, a process that reaches failpoint("x") and finds a file x in $MILLRACE_CRASH_DIR removes the file and
 * kills itself with SIGKILL. If several processes reach the point together, only the one whose unlink
 * succeeds dies. In every other build the call compiles to nothing. */
#pragma once

#ifdef MILLRACE_CRASH_POINTS
void failpoint(const char *name);
#else
static inline void failpoint(const char *name)
{
    (void)name;
}
#endif
