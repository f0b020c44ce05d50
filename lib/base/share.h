/* How a pool of units that cannot be taken back (HTTP requests in flight, sandboxes) is shared by workspaces.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* True if a workspace that holds `own` units may take one more while all workspaces hold `used` of `total`.
 * Anybody may take three quarters of the pool. The rest is left to workspaces below their minimum. */
static inline bool share_may_take(size_t total, size_t used, size_t own, size_t minimum)
{
    return used < total - total / 4 || (used < total && own < minimum);
}
