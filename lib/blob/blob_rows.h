/* The rows of blobs, and the removal of bytes that no row of files, artifacts or execution_usage names any
 * more.
 *
 * The transaction that writes a row that names a blob also marks the blob as used; the transaction that takes
 * a name away marks it as dead, which makes the bytes unreachable at once. Ten minutes later maintenance
 * looks whether another row names the blob: then it lives on, else its bytes and then its row are removed.
 * The row is locked meanwhile. A crash between the two leaves a row without bytes, which the next call
 * removes. */
#pragma once

#include "blob/blob.h"
#include "mariadb/db.h"

/* For the transaction that writes the rows. The file is published already. Marks are collected and written
 * last before COMMIT, each blob once; a blob that is used and marked as dead is used. */
void blob_mark_used(struct db_tx *tx, const struct blob_id *ids, size_t n);
/* Also for blobs that have no row yet. */
void blob_mark_dead(struct db_tx *tx, const struct blob_id *ids, size_t n);
/* Marks as dead in a transaction of its own. */
enum err blob_discard(struct db *db, const struct blob_id *ids, size_t n) WARN_UNUSED;

/* Looks at up to 100 blobs that have been dead for ten minutes, in one transaction. *n_r: how many there
 * were. */
enum { BLOB_REMOVE_MAX = 100 };
enum err blob_remove_dead(struct db *db, struct blob_store *store, uint64_t *n_r) WARN_UNUSED;

/* Compares the files with the rows, in steps. Zeroed at first. */
struct blob_sweep {
    /* The folders 00 to ff, then the rows. */
    int shard;
    uint8_t after[BLOB_HASH];
};
/* One step: the files of one folder, of which those without a row get one that is dead; or 500 rows, of which
 * those that no row has named for an hour are marked as dead, and named ones without bytes are logged as
 * blob.missing. *more_r: false after the last one; the sweep begins anew. */
enum err blob_sweep_step(struct db *db, struct blob_store *store, struct blob_sweep *sweep,
                         bool *more_r) WARN_UNUSED;
