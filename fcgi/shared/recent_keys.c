#include "fcgi/shared/recent_keys.h"

/* FNV-1a with the lowest bit set, so that the result is never 0 (an empty slot). A hash without a secret is
 * enough: keys made to collide only cause additional questions to Redis. */
static uint64_t filter_hash(const id *workspace, struct span key)
{
    uint64_t hash = id_hash(workspace);
    for (size_t i = 0; i < key.size; i++)
        hash = (hash ^ (unsigned char)key.at[i]) * 1099511628211U;
    return hash | 1;
}

bool idempotency_key_filter_add(struct idempotency_key_filter *filter, const id *workspace, struct span key)
{
    uint64_t hash = filter_hash(workspace, key);
    _Atomic uint64_t *slot = &filter->slots[(hash ^ hash >> 32) >> 1 & (IDEMPOTENCY_KEY_FILTER_SLOTS - 1)];
    if (atomic_load_explicit(slot, memory_order_relaxed) == hash)
        return true;
    atomic_store_explicit(slot, hash, memory_order_relaxed);
    return false;
}
