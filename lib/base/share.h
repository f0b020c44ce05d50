/* How a pool of units that cannot be taken back (HTTP requests in flight, sandboxes) is shared by workspaces.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ids.h"

/* A number of units for each workspace: the most that it may hold, whatever is idle, or its minimum. Zero
 * bytes: no limit, or none but that of the pool. */
struct share_limit {
    size_t (*of)(void *arg, const id *workspace);
    void *arg;
};

static inline bool share_is_below(const struct share_limit *limit, const id *workspace, size_t own)
{
    return !limit->of || own < limit->of(limit->arg, workspace);
}

/* The minimum of a workspace, where `least` is that of every workspace. */
static inline size_t share_minimum(const struct share_limit *minimum, const id *workspace, size_t least)
{
    size_t own = minimum->of ? minimum->of(minimum->arg, workspace) : 0;
    return own > least ? own : least;
}

/* True if a workspace that holds `own` units may take one more while all workspaces hold `used` of `total`.
 * Anybody may take three quarters of the pool. The rest is left to workspaces below their minimum. */
static inline bool share_may_take(size_t total, size_t used, size_t own, size_t minimum)
{
    return used < total - total / 4 || (used < total && own < minimum);
}
