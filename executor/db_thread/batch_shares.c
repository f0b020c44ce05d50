#include "executor/db_thread/batch_shares.h"

/* batch->n: it has none */
static size_t find_share(const struct batch_shares *batch, const id *workspace)
{
    size_t i = 0;
    while (i < batch->n && !id_equal(&batch->shares[i].workspace, workspace))
        i++;
    return i;
}

bool batch_share_has(const struct batch_shares *batch, const id *workspace)
{
    return find_share(batch, workspace) < batch->n;
}

bool batch_share_take(struct batch_shares *batch, const id *workspace, size_t bytes)
{
    size_t i = find_share(batch, workspace);
    bool first = i == batch->n;
    if (batch->bytes >= BATCH_BYTES || (first && batch->n == COMMIT_BATCH_MAX) ||
        (!first && batch->shares[i].bytes + bytes > BATCH_WORKSPACE_BYTES))
        return false;
    if (first)
        batch->shares[batch->n++] = (struct batch_share){.workspace = *workspace};
    batch->shares[i].bytes += bytes;
    batch->bytes += bytes;
    return true;
}
