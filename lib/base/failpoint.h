/* Named points where the fault harness may kill a process: nothing at all but in builds with VARIANT=crash.
 * There, a process that passes crash_point("x") and finds a file x in $MILLRACE_CRASH_DIR removes it and dies
 * by SIGKILL; of several, the one whose unlink succeeded. */
#pragma once

#ifdef MILLRACE_CRASH_POINTS
void crash_point(const char *name);
#else
static inline void crash_point(const char *name)
{
    (void)name;
}
#endif
