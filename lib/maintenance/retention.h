/* Retention: for how many days after acceptance a workspace keeps the payload of its runs, and the runs
 * themselves. Runs are visited in the order of their acceptance, in small transactions. The cursor of a
 * workspace waits at a run that has not ended. */
#pragma once

#include "blob/blob.h"
#include "mariadb/db.h"
#include "redis/redis.h"

enum { RETENTION_BATCH = 100 /* runs a transaction, which are some thousand rows */ };

/* Processes one batch of one workspace that is due. *n_r: how many runs were purged or removed; 0 with OK:
 * this workspace is done for now. ERR_NOT_FOUND: no workspace is due. blobs and redis may be NULL. */
enum err retention_step(struct db *db, struct redis *redis, struct blob_store *blobs,
                        size_t *n_r) WARN_UNUSED;
