/* Runs with a start or an expiry. Until its start has come, a run is queued, is in no claim, and has a row in
 * `waits`; then it becomes an ordinary queued run, as soon as the workspace's max_concurrent has room for it.
 * A run that was not claimed by its expiry fails and is refunded. docs/correctness.md, "Delayed runs". */
#pragma once

#include "mariadb/db.h"
#include "redis/redis.h"

/* The latest start and the latest expiry, from now. */
enum { DELAYED_SECONDS_MAX = 366 * 86400 };

/* Lets runs begin whose start has come, by MariaDB's clock: at most 200 of the next workspace after *after
 * (not set: from the first), which it is moved to. *n_r: how many. ERR_NOT_FOUND: there is no further
 * workspace; *after is unset. */
enum err delayed_begin(struct db *db, struct redis *redis, id *after, size_t *n_r) WARN_UNUSED;

/* Fails runs whose expiry has come before their first claim, at most 200. *n_r: of how many runs the expiry
 * was dealt with. */
enum err delayed_expire(struct db *db, struct redis *redis, size_t *n_r) WARN_UNUSED;

/* Moves the start of a run to start_ms (wall time; a past time is now). ERR_NOT_FOUND: the workspace has no
 * such run; ERR_CONFLICT: it does not wait for its start. */
enum err delayed_move(struct db *db, struct redis *redis, const id *workspace, const id *run,
                      int64_t start_ms) WARN_UNUSED;
