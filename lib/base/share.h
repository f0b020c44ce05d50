/* How a pool of units that cannot be taken back (HTTP requests in flight, sandboxes) is shared by workspaces.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ids.h"

/* The most units that a workspace may hold, whatever is idle; zero bytes: no limit. */
struct share_limit {
    size_t (*of)(void *arg, const id *workspace);
    void *arg;
};

static inline bool share_is_below(const struct share_limit *limit, const id *workspace, size_t own)
{
    return !limit->of || own < limit->of(limit->arg, workspace);
}

/* True if a workspace that holds `own` units may take one more while all workspaces hold `used` of `total`.
 * Anybody may take three quarters of the pool. The rest is left to workspaces below their minimum. */
static inline bool share_may_take(size_t total, size_t used, size_t own, size_t minimum)
{
    return used < total - total / 4 || (used < total && own < minimum);
}
