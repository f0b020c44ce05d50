#include "account/balance_cache.h"

enum { SETS = SEEN_BALANCES / SEEN_BALANCES_WAYS };

#define LOAD(field) atomic_load_explicit(&(field), memory_order_relaxed)
#define STORE(field, value) atomic_store_explicit(&(field), value, memory_order_relaxed)

/* The workspace's own place, or the one that was seen the longest ago. */
static unsigned place_for(const struct seen_balances *seen, uint64_t hash)
{
    unsigned first = (unsigned)(hash % SETS) * SEEN_BALANCES_WAYS, oldest = first;
    for (unsigned i = first; i < first + SEEN_BALANCES_WAYS; i++) {
        if (LOAD(seen->places[i].workspace) == hash)
            return i;
        if (LOAD(seen->places[i].at_ms) < LOAD(seen->places[oldest].at_ms))
            oldest = i;
    }
    return oldest;
}

void seen_balances_put(struct seen_balances *seen, const id *workspace, int64_t balance, int64_t now_ms)
{
    uint64_t hash = id_hash(workspace);
    unsigned i = place_for(seen, hash);
    STORE(seen->places[i].workspace, hash);
    STORE(seen->places[i].balance, balance);
    STORE(seen->places[i].at_ms, now_ms);
}

bool seen_balances_enough(const struct seen_balances *seen, const id *workspace, int64_t cost, int64_t now_ms)
{
    uint64_t hash = id_hash(workspace);
    unsigned i = place_for(seen, hash);
    return LOAD(seen->places[i].workspace) == hash && LOAD(seen->places[i].balance) >= cost &&
           now_ms - LOAD(seen->places[i].at_ms) < SEEN_BALANCE_MS;
}
