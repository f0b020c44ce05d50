/* Requests per minute and workspace. Redis counts them for all hosts; a host leases a few at a time into the
 * mapping shared by its workers, so that Redis is not asked for each request. With Redis away there is no
 * limit.
 *
 * A window is 60 s from its first request. What a lease does not use up within its window is lost. */
#pragma once

#include <pthread.h>
#include <stdint.h>

#include "base/ids.h"
#include "redis/redis.h"

enum { RATE_WINDOW_S = 60, RATE_BUCKETS = 512, RATE_WAYS = 8 };

struct rate_lease {
    id workspace;
    int64_t limit;           /* the lease was made under this one */
    int64_t left;            /* of this lease */
    int64_t unleased;        /* of the window, as Redis said, not leased yet */
    int64_t ends_ms;         /* of the window, boot time */
    int64_t next_request_ms; /* the window is used up: Redis is not asked again before this */
};

struct rate_area {
    struct {
        pthread_mutex_t lock; /* robust: a worker may die at any moment */
        struct rate_lease leases[RATE_WAYS];
    } buckets[RATE_BUCKETS];
};

struct rate_state {
    enum { RATE_UNKNOWN, RATE_GRANTED, RATE_LIMITED } verdict;
    int64_t limit, remaining, reset_s;
};

void rate_area_init(struct rate_area *area);
/* Takes one request. RATE_UNKNOWN: Redis is away, go on and say nothing. */
struct rate_state rate_take(struct rate_area *area, struct redis *redis, void *ctx, const id *workspace,
                            int64_t limit);
