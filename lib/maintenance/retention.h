/* Retention: how long a workspace keeps what its runs were given and made, and the runs themselves, in days
 * since they were accepted. Goes through them in the order of their creation, in small transactions, and
 * waits where it meets one that has not ended. */
#pragma once

#include "blob/blob.h"
#include "mariadb/db.h"
#include "redis/redis.h"

enum { RETENTION_BATCH = 100 /* runs a transaction: with all their rows some thousands */ };

/* One batch of one workspace whose time it is. *n_r: how many runs were purged or removed; 0 with OK means
 * that this workspace is done for now. ERR_NOT_FOUND: no workspace is due. blobs and redis may be NULL. */
enum err retention_step(struct db *db, struct redis *redis, struct blob_store *blobs,
                        size_t *n_r) WARN_UNUSED;
