/* The hints about queued runs in Redis: a list of ids for each workspace, and a sorted set of the workspaces
 * with work, ordered by their turn. Accepting pushes onto them (lib/run/accept_redis.c); executors take from
 * them, in turn over the workspaces, of which those with short lists come first. Runs whose hint is lost are
 * found in MariaDB within a second. */
#pragma once

#include "base/ids.h"
#include "redis/redis.h"

/* The longest list of a workspace: further ids are left to the scan of MariaDB. */
enum { RUN_QUEUE_IDS_MAX = 10000 };

struct queued_run {
    const id *workspace, *run;
};
/* Queues the command (redis_queue) that adds the runs, at most 256. Runs of one workspace should be
 * neighbours. The ids must live until redis_flush. */
void run_queue_push(struct redis *redis, void *ctx, const struct queued_run *runs, size_t n);
/* Waits up to `wait_s` for a workspace with work and takes up to `most` ids, an equal share of each
 * workspace. The first *short_n_r of them are of workspaces with short lists: half of them if there are long
 * lists, else all. *n_r may be 0 with OK. ERR_NOT_FOUND: none came; ERR_UNAVAILABLE: Redis is unreachable or
 * rejected the command. */
enum err run_queue_take(struct redis *redis, int wait_s, id *ids, size_t most, size_t *n_r,
                        size_t *short_n_r) WARN_UNUSED;
