#include "executor/lease/lease_clock.h"

enum { NO_LEASE = 0, OVER = -1 };

/* Returns the time that the lease counts from, OVER or NO_LEASE. A lease that has expired becomes OVER here,
 * in one exchange, so that no renewal can come in between. */
static int64_t valid_from(struct lease_clock *c, int64_t now_ms)
{
    int64_t from = atomic_load(&c->valid_from_ms);
    while (from > NO_LEASE && now_ms - from >= c->lease_ms) {
        if (atomic_compare_exchange_weak(&c->valid_from_ms, &from, OVER))
            return OVER;
    }
    return from;
}

bool lease_clock_renew(struct lease_clock *c, int64_t sent_ms, int64_t now_ms)
{
    int64_t from = valid_from(c, now_ms);
    while (from != OVER) {
        if (!atomic_compare_exchange_weak(&c->valid_from_ms, &from, sent_ms))
            continue;
        atomic_store(&c->sent_ms, sent_ms);
        return true;
    }
    return false;
}

bool lease_clock_holds(struct lease_clock *c, int64_t now_ms)
{
    return valid_from(c, now_ms) > NO_LEASE;
}

void lease_clock_end(struct lease_clock *c)
{
    atomic_store(&c->valid_from_ms, OVER);
}

bool lease_clock_is_over(struct lease_clock *c, int64_t now_ms)
{
    return valid_from(c, now_ms) == OVER;
}
