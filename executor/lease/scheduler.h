/* Decides the occurrences of schedules that are due: a task of maintenance, which any executor may run. What
 * it reads is a hint; accept_batch decides under the account's lock and writes the occurrence
 * (docs/schedules.md). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "executor/lease/run_target.h"
#include "mariadb/db.h"
#include "redis/redis.h"

struct scheduler;

/* Owned by ctx; used by one thread, which owns `targets`, too. */
struct otlp;
struct scheduler *scheduler_new(void *ctx, struct run_targets *targets, const struct otlp *otlp);
/* Decides at most ACCEPT_GROUP_MAX occurrences. *n_r: how many; *more_r: more may be due. Those that are due,
 * those that have waited and backfills are read one after the other; a kind that cannot be read is logged and
 * rests. */
void scheduler_step(struct scheduler *s, struct db *db, struct redis *redis, size_t *n_r, bool *more_r);
