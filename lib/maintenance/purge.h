/* Purging: what a run was given and made is erased (inputs, outputs, step results, event data, error text,
 * tags, metadata, logs, artifacts, stored answers); its row, states, times, credits, event numbers and ledger
 * stay. Removing: the row goes, too; the ledger stays for good.
 *
 * The parts that work inside a transaction take runs that are locked and have ended. What is left for after
 * the commit (blobs, Redis) is gathered in a purge_cleanup. */
#pragma once

#include "blob/blob.h"
#include "mariadb/db.h"
#include "redis/redis.h"

struct purge_cleanup;

/* Of ctx; begun anew by each run of the transaction. */
struct purge_cleanup *purge_cleanup_new(void *ctx);
/* After the commit. `blobs` and `redis` may be NULL: then bytes stay on the disk, and a stored answer up to
 * ten minutes in Redis. */
void purge_cleanup_run(struct purge_cleanup *cleanup, struct db *db, struct redis *redis,
                       struct blob_store *blobs);

/* `ids`: n values of db_id, ascending. */
enum err purge_lock(struct db_tx *tx, const id *workspace, const struct db_value *ids, size_t n,
                    struct db_rows **rows_r) WARN_UNUSED; /* rows: id, state, purged_ms */
enum err purge_runs(struct db_tx *tx, struct purge_cleanup *cleanup, const struct db_value *ids,
                    size_t n) WARN_UNUSED;
enum err purge_remove(struct db_tx *tx, struct purge_cleanup *cleanup, const struct db_value *ids,
                      size_t n) WARN_UNUSED;

/* Purges one now; again is no error. ERR_NOT_FOUND: the workspace has no such run; ERR_CONFLICT: it has not
 * ended. */
enum err purge_execution(struct db *db, struct redis *redis, struct blob_store *blobs, const id *workspace,
                         const id *execution) WARN_UNUSED;
