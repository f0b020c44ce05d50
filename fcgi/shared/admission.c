#include "fcgi/shared/admission.h"

enum { WARY_PART = 5, PROBATION_PART = 2 };

void admission_take(struct admission *a, int64_t now_ms)
{
    uint64_t n = atomic_fetch_add(&a->taken, 1);
    atomic_store(&a->taken_ms[n % ADMISSION_TAKEN], now_ms);
}

int64_t admission_overload_ms(const struct admission *a, int64_t now_ms)
{
    int64_t left_ms = atomic_load(&a->overload_ends_ms) - now_ms;
    return left_ms > 0 ? left_ms : 0;
}

/* Shortly after an overload, which may not be over. */
static bool is_on_probation(const struct admission *a, int64_t now_ms)
{
    int64_t ended_ms = atomic_load(&a->overload_ends_ms);
    return ended_ms && now_ms >= ended_ms && now_ms - ended_ms < ADMISSION_OVERLOAD_MS;
}

/* Whether more were taken up while it waited than the short backlog would have let in before it: each
 * worker's places, the one that it was busy with, and the one that the kernel adds. */
static bool was_behind_many(const struct admission *a, int64_t came_ms, unsigned workers)
{
    uint64_t few = (ADMISSION_BACKLOG + 1) * workers + 1, n = atomic_load(&a->taken);
    return n > few + 1 && atomic_load(&a->taken_ms[(n - few - 2) % ADMISSION_TAKEN]) > came_ms;
}

/* After a pause nobody knows whether they have been late all the time; unless one waited through it. */
static bool are_late_for(struct admission *a, int64_t now_ms, int64_t waited_ms, int64_t patience_ms)
{
    int64_t since_ms = atomic_load(&a->late_ms), pause_ms = now_ms - atomic_load(&a->seen_ms);
    if (since_ms == 0 || (pause_ms > patience_ms && waited_ms < pause_ms))
        atomic_store(&a->late_ms, since_ms = now_ms);
    return now_ms - since_ms >= patience_ms;
}

bool admission_admits(struct admission *a, int64_t now_ms, int64_t waited_ms, struct admission_limits limits)
{
    bool overloaded = admission_overload_ms(a, now_ms) > 0, probation = is_on_probation(a, now_ms);
    int64_t patience_ms = probation ? limits.queue_ms / PROBATION_PART : ADMISSION_PATIENCE_MS;
    int64_t late_ms = overloaded || probation ? limits.queue_ms / WARY_PART : limits.queue_ms;
    bool late = waited_ms > late_ms && was_behind_many(a, now_ms - waited_ms, limits.workers);
    if (!late) {
        atomic_store(&a->late_ms, 0);
    } else if (!overloaded && are_late_for(a, now_ms, waited_ms, patience_ms)) {
        atomic_store(&a->overload_ends_ms, now_ms + ADMISSION_OVERLOAD_MS);
        overloaded = true;
    }
    atomic_store(&a->seen_ms, now_ms);
    return !(overloaded && late) && waited_ms <= ADMISSION_AGE_MAX_MS;
}
