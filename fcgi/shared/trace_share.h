/* How many executions of a minute each workspace may have recorded on this host because their callers sample
 * them (docs/traces.md): otherwise a caller could have all of them exported. Workspaces whose ids have the
 * same hash share their number. In the shared mapping; without locks. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/ids.h"

enum { TRACE_SHARE_SLOTS = 512 };

struct trace_share {
    /* the minute (CLOCK_BOOTTIME) in the upper half, the executions recorded in it in the lower */
    _Atomic uint64_t slots[TRACE_SHARE_SLOTS];
};

/* False: the workspace has used its executions of this minute. */
bool trace_share_take(struct trace_share *s, const id *workspace, uint32_t per_minute, int64_t now_ms);
