#include "fcgi/admission.h"

enum { PROBATION_PART = 5 };

struct admission_limits admission_limits(int64_t queue_ms, int64_t workers)
{
    int64_t backlog = ADMISSION_BACKLOG * workers;
    return (struct admission_limits){
        .queue_ms = queue_ms,
        .backlog = (unsigned)(backlog < ADMISSION_BACKLOG_MAX ? backlog : ADMISSION_BACKLOG_MAX)};
}

int64_t admission_overload_ms(const struct admission *a, int64_t now_ms)
{
    int64_t left_ms = atomic_load(&a->overload_ends_ms) - now_ms;
    return left_ms > 0 ? left_ms : 0;
}

/* Shortly after an overload, which may not be over: lateness by a fifth of the queue tells, for as long as
 * the queue. */
static bool is_on_probation(const struct admission *a, int64_t now_ms)
{
    int64_t ended_ms = atomic_load(&a->overload_ends_ms);
    return ended_ms && now_ms >= ended_ms && now_ms - ended_ms < ADMISSION_OVERLOAD_MS;
}

/* Whether so many others at most were taken up while it waited: which is how many were before it. */
static bool was_among_few(struct admission *a, int64_t now_ms, int64_t waited_ms, unsigned few)
{
    uint64_t n = atomic_fetch_add(&a->taken, 1);
    atomic_store(&a->taken_ms[n % ADMISSION_TAKEN], now_ms);
    return n <= few || atomic_load(&a->taken_ms[(n - few - 1) % ADMISSION_TAKEN]) <= now_ms - waited_ms;
}

/* After a pause nobody knows whether they have been late all the time. */
static bool are_late_for(struct admission *a, int64_t now_ms, int64_t patience_ms)
{
    int64_t since_ms = atomic_load(&a->late_ms);
    if (since_ms == 0 || now_ms - atomic_load(&a->seen_ms) > patience_ms)
        atomic_store(&a->late_ms, since_ms = now_ms);
    return now_ms - since_ms >= patience_ms;
}

bool admission_admits(struct admission *a, int64_t now_ms, int64_t waited_ms, struct admission_limits limits)
{
    int64_t queue_ms = limits.queue_ms;
    bool overloaded = admission_overload_ms(a, now_ms) > 0, probation = is_on_probation(a, now_ms);
    bool many = !was_among_few(a, now_ms, waited_ms, limits.backlog);
    bool late = many && waited_ms > (probation ? queue_ms / PROBATION_PART : queue_ms);
    if (!late) {
        atomic_store(&a->late_ms, 0);
    } else if (!overloaded && are_late_for(a, now_ms, probation ? queue_ms : ADMISSION_PATIENCE_MS)) {
        atomic_store(&a->overload_ends_ms, now_ms + ADMISSION_OVERLOAD_MS);
        overloaded = true;
    }
    atomic_store(&a->seen_ms, now_ms);
    return !(overloaded && many && waited_ms > queue_ms) && waited_ms <= ADMISSION_AGE_MAX_MS;
}
