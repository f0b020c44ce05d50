/* Purging erases what a run received and produced: input, output, step results, event data, error text, tags,
 * metadata, logs, artifacts and stored responses. Its row, states, times, credits, event numbers and ledger
 * entries stay. Removing deletes the row, too; the ledger stays forever.
 *
 * A transaction changes at most PURGE_ROWS_MAX rows. A run with more rows is purged or removed for every
 * reader by its first transaction (purge_begin), which also notes the run in the table `purges`; its step
 * rows, events, artifacts, signals and their tickets follow in slices, by the caller or by maintenance
 * (purge_slice), also after a crash.
 *
 * The functions that work inside a transaction require runs that are locked and have ended. The keys of
 * cached responses, which are deleted after the commit, are collected in a purge_cleanup. Blobs that lose a
 * name are marked as dead by the same transaction (blob/blob_rows.h). */
#pragma once

#include "mariadb/db.h"
#include "redis/redis.h"

/* PURGE_AT_ONCE_MAX: a run of which more rows would change is erased in slices. PURGE_BEGIN_ROWS: what
 * purge_begin changes at most: up to 32 tags, the run's own rows and its keys. */
enum { PURGE_ROWS_MAX = 500, PURGE_AT_ONCE_MAX = 400, PURGE_BEGIN_ROWS = 64 };

struct purge_cleanup;

/* Allocated on ctx. Make a new one in each attempt of the transaction. */
struct purge_cleanup *purge_cleanup_new(void *ctx);
/* After the commit. `redis` may be NULL: then a stored response stays in Redis for up to ten minutes. */
void purge_cleanup_run(struct purge_cleanup *cleanup, struct redis *redis);

/* `ids`: n values of db_id, ascending. The columns of the rows are those of SQL_PURGE_LOCKED. With
 * `skip_locked`, runs that another transaction has locked are left out. purge_runs and purge_remove change
 * the runs' n_rows. */
enum err purge_lock(struct db_tx *tx, const id *workspace, const struct db_value *ids, size_t n,
                    bool skip_locked, struct db_rows **rows_r) WARN_UNUSED;
enum err purge_runs(struct db_tx *tx, struct purge_cleanup *cleanup, const struct db_value *ids,
                    size_t n) WARN_UNUSED;
enum err purge_remove(struct db_tx *tx, struct purge_cleanup *cleanup, const struct db_value *ids,
                      size_t n) WARN_UNUSED;

/* For a run with more than PURGE_AT_ONCE_MAX rows; `removes`: removes it, else purges it. */
enum err purge_begin(struct db_tx *tx, struct purge_cleanup *cleanup, const struct db_value *one,
                     bool removes) WARN_UNUSED;
/* Erases the next rows of a run that was begun: of `execution`, or of the one that has waited longest (NULL),
 * in a transaction of its own. ERR_NOT_FOUND: nothing is left to do, or another process is doing it. A run
 * whose slice fails is due again after a minute. */
enum err purge_slice(struct db *db, const id *execution) WARN_UNUSED;

/* Purges one run in its own transaction; purging it again is no error. ERR_NOT_FOUND: the workspace has no
 * such run. ERR_CONFLICT: the run has not ended. A large run is erased for at most two seconds, and
 * maintenance erases the rest; no reader sees it. */
enum err purge_execution(struct db *db, struct redis *redis, const id *workspace,
                         const id *execution) WARN_UNUSED;
/* The same for an item of a bulk job (run/bulk_item.h), which the transaction writes as done. What is left of
 * a large run is left to maintenance. */
enum err purge_item(struct db *db, struct redis *redis, const id *workspace, const id *execution,
                    const id *bulk_job) WARN_UNUSED;
