#include "base/failpoint.h"

#ifdef MILLRACE_CRASH_POINTS
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void failpoint(const char *name)
{
    const char *dir = getenv("MILLRACE_CRASH_DIR");
    char path[4096];
    if (!dir || snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path)
        return;
    if (unlink(path) == 0)
        kill(getpid(), SIGKILL);
}
#endif
