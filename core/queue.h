/* The list of waiting ids in Redis: a hint for executors. Accepting pushes onto it (core/accept_run.c),
 * executors pop. Whatever it loses is found in MariaDB within a second. */
#pragma once

#include "core/ids.h"
#include "core/redis.h"

/* Waits up to `wait_s` for the oldest id, and takes up to `most` (1 to 64) at once. ERR_NOT_FOUND: none came;
 * ERR_BUSY: Redis is away. */
enum err queue_pop(struct redis *redis, int wait_s, id *ids, size_t most, size_t *n_r) WARN_UNUSED;
