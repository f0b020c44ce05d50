#include "account/balance_cache.h"

enum { SETS = BALANCE_CACHE_ENTRIES / BALANCE_CACHE_WAYS };

#define LOAD(field) atomic_load_explicit(&(field), memory_order_relaxed)
#define STORE(field, value) atomic_store_explicit(&(field), value, memory_order_relaxed)

/* The entry of the workspace, or else the oldest entry of its set. */
static unsigned cache_entry_for(const struct balance_cache *cache, uint64_t hash)
{
    unsigned first = (unsigned)(hash % SETS) * BALANCE_CACHE_WAYS, oldest = first;
    for (unsigned i = first; i < first + BALANCE_CACHE_WAYS; i++) {
        if (LOAD(cache->entries[i].workspace) == hash)
            return i;
        if (LOAD(cache->entries[i].at_ms) < LOAD(cache->entries[oldest].at_ms))
            oldest = i;
    }
    return oldest;
}

void balance_cache_put(struct balance_cache *cache, const id *workspace, int64_t balance, int64_t now_ms)
{
    uint64_t hash = id_hash(workspace);
    unsigned i = cache_entry_for(cache, hash);
    STORE(cache->entries[i].workspace, hash);
    STORE(cache->entries[i].balance, balance);
    STORE(cache->entries[i].at_ms, now_ms);
}

bool balance_cache_covers(const struct balance_cache *cache, const id *workspace, int64_t cost,
                          int64_t now_ms)
{
    uint64_t hash = id_hash(workspace);
    unsigned i = cache_entry_for(cache, hash);
    return LOAD(cache->entries[i].workspace) == hash && LOAD(cache->entries[i].balance) >= cost &&
           now_ms - LOAD(cache->entries[i].at_ms) < BALANCE_CACHE_TTL_MS;
}
