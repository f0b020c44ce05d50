#include "fcgi/shared/upload_share.h"

bool upload_share_begin(struct upload_share *share, int slot, const id *workspace, unsigned workers,
                        unsigned most, unsigned guaranteed)
{
    uint64_t hash = id_hash_nonzero(workspace);
    unsigned all = 0, same = 0;
    /* stored before the others are counted, so that of two workers at least one sees the other */
    atomic_store(&share->workspaces[slot], hash);
    for (int i = 0; i < UPLOAD_SHARE_SLOTS; i++) {
        uint64_t other = atomic_load(&share->workspaces[i]);
        all += other != 0;
        same += other == hash;
    }
    if (same <= most && (same <= 1 || same <= guaranteed || all <= workers - (workers + 3) / 4))
        return true;
    upload_share_end(share, slot);
    return false;
}

void upload_share_end(struct upload_share *share, int slot)
{
    atomic_store(&share->workspaces[slot], 0);
}
