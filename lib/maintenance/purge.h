/* Purging erases what a run received and produced: input, output, step results, event data, error text, tags,
 * metadata, logs, artifacts and stored responses. Its row, states, times, credits, event numbers and ledger
 * entries stay. Removing deletes the row, too; the ledger stays forever.
 *
 * The functions that work inside a transaction require runs that are locked and have ended. Work for after
 * the commit (blobs, Redis) is collected in a purge_cleanup. */
#pragma once

#include "blob/blob.h"
#include "mariadb/db.h"
#include "redis/redis.h"

struct purge_cleanup;

/* Allocated on ctx. Make a new one in each attempt of the transaction. */
struct purge_cleanup *purge_cleanup_new(void *ctx);
/* After the commit. `blobs` and `redis` may be NULL: then the bytes stay on disk, and a stored response stays
 * in Redis for up to ten minutes. */
void purge_cleanup_run(struct purge_cleanup *cleanup, struct db *db, struct redis *redis,
                       struct blob_store *blobs);

/* `ids`: n values of db_id, ascending. The columns of the rows are id, state and purged_ms. */
enum err purge_lock(struct db_tx *tx, const id *workspace, const struct db_value *ids, size_t n,
                    struct db_rows **rows_r) WARN_UNUSED;
enum err purge_runs(struct db_tx *tx, struct purge_cleanup *cleanup, const struct db_value *ids,
                    size_t n) WARN_UNUSED;
enum err purge_remove(struct db_tx *tx, struct purge_cleanup *cleanup, const struct db_value *ids,
                      size_t n) WARN_UNUSED;

/* Purges one run in its own transaction; purging it again is no error. ERR_NOT_FOUND: the workspace has no
 * such run. ERR_CONFLICT: the run has not ended. */
enum err purge_execution(struct db *db, struct redis *redis, struct blob_store *blobs, const id *workspace,
                         const id *execution) WARN_UNUSED;
