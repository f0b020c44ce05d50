/* Named points where the fault harness may kill a process: nothing at all but in builds with VARIANT=crash.
 * There, a process that passes failpoint("x") and finds a file x in $MILLRACE_CRASH_DIR removes it and dies
 * by SIGKILL; of several, the one whose unlink succeeded. */
#pragma once

#ifdef MILLRACE_CRASH_POINTS
void failpoint(const char *name);
#else
static inline void failpoint(const char *name)
{
    (void)name;
}
#endif
