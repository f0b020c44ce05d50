/* Carries out bulk jobs (docs/bulk-jobs.md): a periodic task, which any executor may take. */
#pragma once

#include "base/config.h"
#include "executor/lease/run_target.h"
#include "mariadb/db.h"
#include "redis/redis.h"

struct bulk_worker;

struct otlp;
struct bulk_worker *bulk_worker_new(void *ctx, const struct config *config, struct run_targets *targets,
                                    const struct otlp *otlp);
/* The next slice of the next workspace that has a job which is due: runs are written down, or at most
 * BULK_SLICE_MAX of them are stopped, retried or purged. *n_r: how many. *more_r: there may be more to do. */
enum { BULK_SLICE_MAX = 16 };
enum err bulk_worker_step(struct bulk_worker *w, struct db *db, struct redis *redis, size_t *n_r,
                          bool *more_r) WARN_UNUSED;
