/* Which workspace may have a further sandbox in this process. A command cannot be preempted, so one workspace
 * bursts into what the others leave idle only up to three quarters of the slots; the last quarter is for
 * workspaces that have fewer than their minimum. A queued run that gets no permit stays queued, where another
 * executor finds it.
 *
 * The database thread takes a permit for the claim of a command's run. It lasts until the last reference is
 * dropped: when the run was not claimed or has ended, and no runner of it is left. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/ids.h"
#include "base/share.h"

struct sandbox_share;
struct sandbox_permit;

/* `total` at least 1; `workspace_max` and `workspace_guaranteed`, a larger minimum than workspace_min, may be
 * called by any thread. `on_free`: a permit has ended after one was refused; called on the thread that
 * dropped it. The share must live longer than its permits. */
struct sandbox_share *sandbox_share_new(void *ctx, size_t total, size_t workspace_min,
                                        const struct share_limit *workspace_max,
                                        const struct share_limit *workspace_guaranteed,
                                        void (*on_free)(void *arg), void *arg);
/* Permits of the workspace. */
size_t sandbox_share_held(struct sandbox_share *share, const id *workspace);
/* With one reference. NULL: the workspace may have no further one now. */
struct sandbox_permit *sandbox_permit_take(struct sandbox_share *share, const id *workspace);
/* Returns `permit`; NULL is allowed, here and below. */
struct sandbox_permit *sandbox_permit_ref(struct sandbox_permit *permit);
void sandbox_permit_unref(struct sandbox_permit *permit);
