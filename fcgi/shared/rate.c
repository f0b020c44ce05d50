#include "fcgi/shared/rate.h"

#include <errno.h>
#include <talloc.h>

#include "base/clock.h"
#include "redis/keys.h"

/* A lease is a hundredth of the limit, at most LEASE_MAX requests. When the window is used up, Redis is asked
 * again after EXHAUSTED_RETRY_MS. */
enum { LEASES_PER_WINDOW = 100, LEASE_MAX = 1000, EXHAUSTED_RETRY_MS = 200 };

void rate_area_init(struct rate_area *area)
{
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    for (int i = 0; i < RATE_BUCKETS; i++)
        pthread_mutex_init(&area->buckets[i].lock, &attr);
    pthread_mutexattr_destroy(&attr);
}

/* If the last holder died, the lease may be half-written. It is kept: the worst case is one minute of wrong
 * numbers. */
static void rate_lock(pthread_mutex_t *lock)
{
    if (pthread_mutex_lock(lock) == EOWNERDEAD)
        pthread_mutex_consistent(lock);
}

/* The lease of the workspace, reset if its window has ended or the limit has changed. A new workspace
 * replaces the lease of the bucket whose window ends first. Call it under the bucket's lock. */
static struct rate_lease *find_lease(struct rate_bucket *bucket, const id *workspace, int64_t limit,
                                     int64_t now_ms)
{
    struct rate_lease *oldest = &bucket->leases[0];
    struct rate_lease *found = NULL;
    for (int i = 0; i < RATE_WAYS && !found; i++) {
        struct rate_lease *l = &bucket->leases[i];
        if (id_equal(&l->workspace, workspace))
            found = l;
        if (l->ends_ms < oldest->ends_ms)
            oldest = l;
    }
    struct rate_lease *l = found ? found : oldest;
    if (!found || l->ends_ms <= now_ms || l->limit != limit)
        *l = (struct rate_lease){.workspace = *workspace, .limit = limit};
    return l;
}

static struct rate_state lease_state(const struct rate_lease *l, int verdict, int64_t now_ms)
{
    int64_t ms = l->ends_ms > now_ms ? l->ends_ms - now_ms : 0;
    return (struct rate_state){.verdict = verdict,
                               .limit = l->limit,
                               .remaining = l->left + l->unleased,
                               .reset_s = ms == 0 ? RATE_WINDOW_S : (ms + 999) / 1000};
}

static struct rate_bucket *bucket_of(struct rate_area *area, const id *workspace)
{
    return &area->buckets[id_hash(workspace) % RATE_BUCKETS];
}

struct rate_state rate_lease_take(struct rate_area *area, const id *workspace, int64_t limit, int64_t now_ms)
{
    struct rate_bucket *bucket = bucket_of(area, workspace);
    rate_lock(&bucket->lock);
    struct rate_lease *l = find_lease(bucket, workspace, limit, now_ms);
    struct rate_state s = {.verdict = RATE_UNKNOWN};
    if (l->left > 0) {
        l->left--;
        s = lease_state(l, RATE_GRANTED, now_ms);
    } else if (l->next_request_ms > now_ms) {
        s = lease_state(l, RATE_LIMITED, now_ms);
    }
    pthread_mutex_unlock(&bucket->lock);
    return s;
}

struct rate_state rate_lease_grant(struct rate_area *area, const id *workspace, int64_t limit,
                                   struct rate_grant grant, int64_t now_ms)
{
    struct rate_bucket *bucket = bucket_of(area, workspace);
    rate_lock(&bucket->lock);
    struct rate_lease *l = find_lease(bucket, workspace, limit, now_ms);
    l->ends_ms = now_ms + grant.remaining_ms;
    l->unleased = grant.unleased;
    l->left += grant.granted;
    bool had = l->left > 0;
    l->left -= had;
    if (!had)
        l->next_request_ms =
            now_ms + (grant.remaining_ms < EXHAUSTED_RETRY_MS ? grant.remaining_ms : EXHAUSTED_RETRY_MS);
    struct rate_state s = lease_state(l, had ? RATE_GRANTED : RATE_LIMITED, now_ms);
    pthread_mutex_unlock(&bucket->lock);
    return s;
}

struct rate_state rate_take(struct rate_area *area, struct redis *redis, void *ctx, const id *workspace,
                            int64_t limit)
{
    struct rate_state s = rate_lease_take(area, workspace, limit, clock_boot_ms());
    if (s.verdict != RATE_UNKNOWN)
        return s;
    int64_t chunk = limit / LEASES_PER_WINDOW;
    chunk = chunk < 1 ? 1 : chunk > LEASE_MAX ? LEASE_MAX : chunk;
    struct redis_arg args[] = {redis_key_rate(ctx, workspace), redis_number(ctx, limit),
                               redis_number(ctx, chunk), redis_number(ctx, RATE_WINDOW_S * 1000)};
    struct redis_value v;
    if (redis_eval(redis, ctx, LUA_RATE_TAKE, args, 1, 3, &v) != OK || v.kind != REDIS_LIST || v.count != 3)
        return s;
    struct rate_grant grant = {v.items[0].number, v.items[1].number, v.items[2].number};
    return rate_lease_grant(area, workspace, limit, grant, clock_boot_ms());
}
