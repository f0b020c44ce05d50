/* How much one workspace may write in one transaction of commits. Everybody's commits wait for a transaction
 * that is under way, so a workspace with many large commits writes them in several. Database thread only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/ids.h"
#include "executor/db_thread/job.h"

enum {
    /* of one workspace: about 20 ms */
    BATCH_WORKSPACE_BYTES = 256 * 1024,
    /* of all workspaces together */
    BATCH_BYTES = 1024 * 1024,
};

/* What the commits of a batch have taken so far. */
struct batch_shares {
    struct batch_share {
        id workspace;
        size_t bytes;
    } shares[COMMIT_BATCH_MAX];
    size_t n;
    size_t bytes;
};

/* True if the batch has commits of this workspace. */
bool batch_share_has(const struct batch_shares *batch, const id *workspace);
/* True, and the bytes are taken, if a commit fits: the first of its workspace fits whatever it needs, unless
 * the batch is full. */
bool batch_share_take(struct batch_shares *batch, const id *workspace, size_t bytes);
