/* Responses to keyed requests, cached in Redis for up to ten minutes, so that a retry needs no transaction.
 * A hit is trusted, because an entry is written after the commit. A miss means nothing: MariaDB decides.
 *
 * One Redis key per idempotency key holds either the stored response, or the lock of the request that is
 * being processed (a value that begins with IDEMPOTENCY_CACHE_LOCK). Looking up and locking are one command,
 * SET NX GET. Redis before 7.0 rejects it; then only MariaDB replays. */
#pragma once

#include "redis/redis.h"
#include "run/accept_types.h"

#define IDEMPOTENCY_CACHE_LOCK "claim "

/* Call this before anything else is done for a keyed request. Returns RUN_REPLAYED, RUN_KEY_REUSED,
 * RUN_IN_FLIGHT, or 0: process the request. With 0, *locked_r is true if the key was locked (for one
 * second); idempotency_cache_unlock or acceptance ends the lock. The answer's body is on ctx. */
enum run_verdict idempotency_cache_get_or_lock(struct redis *redis, void *ctx,
                                               const struct run_request *request, bool *locked_r,
                                               struct run_answer *answer_r);
/* Releases the lock of a request that was rejected, so that its key can be used again at once. */
void idempotency_cache_unlock(struct redis *redis, void *ctx, const struct run_request *request);
/* After the commit: queues the response, which replaces the lock. Scratch data is allocated on ctx. */
void idempotency_cache_put(struct redis *redis, void *ctx, const struct run_request *request,
                           const struct run_answer *answer);
