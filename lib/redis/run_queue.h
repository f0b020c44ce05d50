/* The list of waiting ids in Redis: a hint for executors. Accepting pushes onto it (lib/run/accept.c),
 * executors pop. Whatever it loses is found in MariaDB within a second. */
#pragma once

#include "base/ids.h"
#include "redis/redis.h"

/* Waits up to `wait_s` for the oldest id. ERR_NOT_FOUND: none came; ERR_UNAVAILABLE: Redis is away. */
enum err run_queue_wait(struct redis *redis, int wait_s, id *first_r) WARN_UNUSED;
/* Takes up to `most` that are there now; how many. */
size_t run_queue_pop(struct redis *redis, id *ids, size_t most);
