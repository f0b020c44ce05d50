/* Which worker of the host receives an upload, and for which workspace. A workspace may always have one
 * upload in progress; it may have more as long as all uploads together occupy at most three quarters of the
 * workers. The last quarter is left to workspaces that have no upload in progress, so that slow uploads of
 * one workspace do not stop those of another. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/ids.h"

enum { UPLOAD_SHARE_SLOTS = 256 };

/* In the shared mapping. Initial state: zero bytes. */
struct upload_share {
    /* By worker slot: a hash of the workspace, 0 if the worker receives no upload. */
    _Atomic uint64_t workspaces[UPLOAD_SHARE_SLOTS];
};

/* Records that the worker of `slot` receives an upload, if the share of the workspace allows it. `workers` is
 * the number of workers that uploads may occupy, `most` the limit of the workspace, `guaranteed` its minimum,
 * at least 1. Two calls at the same moment may both return false where one would have been allowed; never
 * more than allowed return true. */
bool upload_share_begin(struct upload_share *share, int slot, const id *workspace, unsigned workers,
                        unsigned most, unsigned guaranteed);
/* Ends the upload of the slot. Also called at the start of a worker, whose predecessor may have died. */
void upload_share_end(struct upload_share *share, int slot);
