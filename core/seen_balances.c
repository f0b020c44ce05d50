#include "core/seen_balances.h"

void seen_balances_put(struct seen_balances *seen, const id *workspace, int64_t balance, int64_t now_ms)
{
    uint64_t hash = id_hash(workspace);
    size_t i = hash % SEEN_BALANCES;
    atomic_store_explicit(&seen->places[i].workspace, hash, memory_order_relaxed);
    atomic_store_explicit(&seen->places[i].balance, balance, memory_order_relaxed);
    atomic_store_explicit(&seen->places[i].at_ms, now_ms, memory_order_relaxed);
}

bool seen_balances_enough(const struct seen_balances *seen, const id *workspace, int64_t cost, int64_t now_ms)
{
    uint64_t hash = id_hash(workspace);
    size_t i = hash % SEEN_BALANCES;
    return atomic_load_explicit(&seen->places[i].workspace, memory_order_relaxed) == hash &&
           atomic_load_explicit(&seen->places[i].balance, memory_order_relaxed) >= cost &&
           now_ms - atomic_load_explicit(&seen->places[i].at_ms, memory_order_relaxed) < SEEN_BALANCE_MS;
}
