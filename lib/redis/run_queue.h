/* The run queue: a list in Redis with the ids of queued runs, a hint for executors. Accepting a run pushes
 * its id (lib/run/accept_redis.c); executors pop. An id that is lost is found by the executors' scan of
 * MariaDB, which takes place every second. */
#pragma once

#include "base/ids.h"
#include "redis/redis.h"

/* Waits up to `wait_s` for the oldest id. ERR_NOT_FOUND: none was pushed. ERR_UNAVAILABLE: Redis is
 * unreachable, or answered with an error. */
enum err run_queue_wait(struct redis *redis, int wait_s, id *first_r) WARN_UNUSED;
/* Pops up to `most` ids without waiting. Returns their number. */
size_t run_queue_pop(struct redis *redis, id *ids, size_t most);
