/* Rate limit: requests per minute and workspace. Redis counts them for all hosts. To avoid one Redis call per
 * request, a host leases several requests at a time and keeps the lease in the shared mapping. While Redis is
 * unreachable, requests are not limited.
 *
 * A window lasts 60 s from its first request. Leased requests that are not used within their window are
 * lost. */
#pragma once

#include <pthread.h>
#include <stdint.h>

#include "base/ids.h"
#include "redis/redis.h"

enum { RATE_WINDOW_S = 60, RATE_BUCKETS = 512, RATE_WAYS = 8 };

struct rate_lease {
    id workspace;
    /* The limit under which the lease was granted. */
    int64_t limit;
    /* Requests left of the lease. */
    int64_t left;
    /* Requests of the window that Redis had not leased to any host, when it was last asked. */
    int64_t unleased;
    /* End of the window, boot time. */
    int64_t ends_ms;
    /* Set when the window is used up: Redis is not asked again before this boot time. */
    int64_t next_request_ms;
};

struct rate_bucket {
    /* Robust, because a worker may die while it holds the lock. */
    pthread_mutex_t lock;
    struct rate_lease leases[RATE_WAYS];
};

struct rate_area {
    struct rate_bucket buckets[RATE_BUCKETS];
};

/* Redis' answer to a request for a lease. */
struct rate_grant {
    /* Requests that this host may use. */
    int64_t granted;
    /* Requests of the window that no host has leased. */
    int64_t unleased;
    /* Until the window ends. */
    int64_t remaining_ms;
};

struct rate_state {
    enum { RATE_UNKNOWN, RATE_GRANTED, RATE_LIMITED } verdict;
    int64_t limit, remaining, reset_s;
};

/* Initializes the locks. Called by the master before it forks; the memory must be zero. */
void rate_area_init(struct rate_area *area);
/* Takes one request of the workspace's limit. RATE_UNKNOWN: Redis is unreachable; serve the request and send
 * no rate headers. */
struct rate_state rate_take(struct rate_area *area, struct redis *redis, void *ctx, const id *workspace,
                            int64_t limit);

/* The two steps of rate_take, without Redis; `now_ms` is boot time. */

/* Takes one request of the lease. RATE_UNKNOWN if Redis must be asked for a lease. */
struct rate_state rate_lease_take(struct rate_area *area, const id *workspace, int64_t limit, int64_t now_ms);
/* Adds what Redis granted to the lease and takes one request of it. */
struct rate_state rate_lease_grant(struct rate_area *area, const id *workspace, int64_t limit,
                                   struct rate_grant grant, int64_t now_ms);
