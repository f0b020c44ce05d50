#include "fcgi/shared/trace_share.h"

bool trace_share_take(struct trace_share *s, const id *workspace, uint32_t per_minute, int64_t now_ms)
{
    _Atomic uint64_t *slot = &s->slots[id_hash(workspace) % TRACE_SHARE_SLOTS];
    /* minute 0 of a host that has just started would be that of an unused slot */
    uint64_t minute = (uint64_t)(now_ms / 60000 + 1) & UINT32_MAX;
    uint64_t seen = atomic_load_explicit(slot, memory_order_relaxed), next;
    do {
        uint64_t used = seen >> 32 == minute ? seen & UINT32_MAX : 0;
        if (used >= per_minute)
            return false;
        next = minute << 32 | (used + 1);
    } while (!atomic_compare_exchange_weak_explicit(slot, &seen, next, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}
