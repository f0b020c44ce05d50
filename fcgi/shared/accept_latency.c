#include "fcgi/shared/accept_latency.h"

static unsigned bucket_of(int64_t us)
{
    uint64_t v = us > 4 ? (uint64_t)us : 4;
    unsigned power = 63U - (unsigned)__builtin_clzll(v);
    unsigned bucket = 4 * (power - 2) + (unsigned)(v >> (power - 2) & 3);
    return bucket < ACCEPT_LATENCY_BUCKETS ? bucket : ACCEPT_LATENCY_BUCKETS - 1;
}

/* The middle of the bucket. */
static int64_t value_of(unsigned bucket)
{
    int64_t width = (int64_t)1 << bucket / 4;
    return (4 + bucket % 4) * width + width / 2;
}

/* Empties the window. 0: it had too few requests. */
static int64_t take_median(struct accept_latency *l)
{
    uint32_t counts[ACCEPT_LATENCY_BUCKETS], n = 0, seen = 0;
    unsigned bucket = 0;
    for (unsigned i = 0; i < ACCEPT_LATENCY_BUCKETS; i++)
        n += counts[i] = (uint32_t)atomic_exchange(&l->buckets[i], 0);
    atomic_store(&l->n, 0);
    if (n < ACCEPT_LATENCY_LEAST)
        return 0;
    while ((seen += counts[bucket]) * 2 < n)
        bucket++;
    return value_of(bucket);
}

bool accept_latency_add(struct accept_latency *l, int64_t us, int64_t now_ms, int64_t *median_us_r)
{
    atomic_fetch_add(&l->buckets[bucket_of(us)], 1);
    uint32_t n = (uint32_t)atomic_fetch_add(&l->n, 1) + 1;
    int64_t began_ms = atomic_load(&l->began_ms);
    int64_t age_ms = now_ms - began_ms;
    if (age_ms < (n < ACCEPT_LATENCY_LEAST ? ACCEPT_LATENCY_WINDOW_MAX_MS : ACCEPT_LATENCY_WINDOW_MS) ||
        !atomic_compare_exchange_strong(&l->began_ms, &began_ms, now_ms))
        return false;
    *median_us_r = take_median(l);
    if (*median_us_r == 0 || age_ms > ACCEPT_LATENCY_WINDOW_MAX_MS)
        return false;
    atomic_store(&l->median_us, *median_us_r);
    atomic_store(&l->ended_ms, now_ms);
    return true;
}

int64_t accept_latency_us(const struct accept_latency *l, int64_t now_ms)
{
    int64_t ended_ms = atomic_load(&l->ended_ms);
    return ended_ms > 0 && now_ms - ended_ms <= ACCEPT_LATENCY_WINDOW_MAX_MS ? atomic_load(&l->median_us) : 0;
}
