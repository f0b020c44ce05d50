#include "fcgi/shared/recent_keys.h"

/* FNV-1a, never 0. Who finds keys that collide makes us ask Redis, no more. */
static uint64_t hash_of(const id *workspace, struct span key)
{
    uint64_t hash = id_hash(workspace);
    for (size_t i = 0; i < key.size; i++)
        hash = (hash ^ (unsigned char)key.at[i]) * 1099511628211U;
    return hash | 1;
}

bool recent_keys_note(struct recent_keys *keys, const id *workspace, struct span key)
{
    uint64_t hash = hash_of(workspace, key);
    _Atomic uint64_t *place = &keys->places[(hash ^ hash >> 32) >> 1 & (RECENT_KEYS - 1)];
    if (atomic_load_explicit(place, memory_order_relaxed) == hash)
        return true;
    atomic_store_explicit(place, hash, memory_order_relaxed);
    return false;
}
