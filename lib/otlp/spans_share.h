/* How many spans of a minute each workspace may export: one workspace with many steps must not use up what
 * the collector takes for all. Workspaces whose ids have the same hash share their number. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ids.h"

enum { SPANS_SHARE_SLOTS = 512 };

struct spans_share {
    uint32_t per_minute;
    struct {
        int64_t minute;
        uint32_t used;
    } slots[SPANS_SHARE_SLOTS];
};

/* False: the workspace has used its spans of this minute. */
bool spans_share_take(struct spans_share *s, const id *workspace, int64_t now_ms);
