#include "fcgi/shared/admission.h"

enum { ALERT_DIVISOR = 5, PROBATION_DIVISOR = 2 };

void admission_count_start(struct admission *a, int64_t now_ms)
{
    uint64_t n = atomic_fetch_add(&a->started, 1);
    atomic_store(&a->started_ms[n % ADMISSION_STARTS_KEPT], now_ms);
}

int64_t admission_overload_ms(const struct admission *a, int64_t now_ms)
{
    int64_t left_ms = atomic_load(&a->overload_ends_ms) - now_ms;
    return left_ms > 0 ? left_ms : 0;
}

/* True for ADMISSION_OVERLOAD_MS after an overload, whose cause may persist. */
static bool is_on_probation(const struct admission *a, int64_t now_ms)
{
    int64_t ended_ms = atomic_load(&a->overload_ends_ms);
    return ended_ms && now_ms >= ended_ms && now_ms - ended_ms < ADMISSION_OVERLOAD_MS;
}

/* True if workers have started more requests since this one arrived than the short backlog would have let in
 * before it. Per worker these are its places in the backlog and the request that it was serving; the kernel
 * adds one place per listener. */
static bool queue_was_long(const struct admission *a, int64_t arrived_ms, unsigned workers)
{
    uint64_t short_queue = (ADMISSION_BACKLOG + 1) * workers + 1, n = atomic_load(&a->started);
    return n > short_queue + 1 &&
           atomic_load(&a->started_ms[(n - short_queue - 2) % ADMISSION_STARTS_KEPT]) > arrived_ms;
}

/* True if every request has been delayed for `patience_ms`. A gap in traffic resets the timer, unless this
 * request was already waiting before the gap. */
static bool delayed_for(struct admission *a, int64_t now_ms, int64_t waited_ms, int64_t patience_ms)
{
    int64_t since_ms = atomic_load(&a->delayed_since_ms), gap_ms = now_ms - atomic_load(&a->last_request_ms);
    if (since_ms == 0 || (gap_ms > patience_ms && waited_ms < gap_ms))
        atomic_store(&a->delayed_since_ms, since_ms = now_ms);
    return now_ms - since_ms >= patience_ms;
}

bool admission_admits(struct admission *a, int64_t now_ms, int64_t waited_ms, struct admission_limits limits)
{
    bool overloaded = admission_overload_ms(a, now_ms) > 0, probation = is_on_probation(a, now_ms);
    int64_t patience_ms = probation ? limits.queue_ms / PROBATION_DIVISOR : ADMISSION_PATIENCE_MS;
    int64_t delay_limit_ms = overloaded || probation ? limits.queue_ms / ALERT_DIVISOR : limits.queue_ms;
    bool delayed = waited_ms > delay_limit_ms && queue_was_long(a, now_ms - waited_ms, limits.workers);
    if (!delayed) {
        atomic_store(&a->delayed_since_ms, 0);
    } else if (!overloaded && delayed_for(a, now_ms, waited_ms, patience_ms)) {
        atomic_store(&a->overload_ends_ms, now_ms + ADMISSION_OVERLOAD_MS);
        overloaded = true;
    }
    atomic_store(&a->last_request_ms, now_ms);
    return !(overloaded && delayed) && waited_ms <= ADMISSION_AGE_MAX_MS;
}
