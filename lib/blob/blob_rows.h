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
/* Marks as used, and as dead, in a transaction of its own. */
enum err blob_keep(struct db *db, const struct blob_id *ids, size_t n) WARN_UNUSED;
enum err blob_discard(struct db *db, const struct blob_id *ids, size_t n) WARN_UNUSED;

/* Sets the objects of those blobs that have one. `ctx`: for rows. */
enum err blob_find_objects(struct db *db, void *ctx, struct blob_id *blobs, size_t n) WARN_UNUSED;
/* Opens the bytes of a blob, wherever they are; the caller closes *fd_r. ERR_NOT_FOUND: they are nowhere.
 * Other errors as of blob_fetch, or of the query. */
enum err blob_read(struct db *db, struct blob_store *store, const uint8_t sha256[BLOB_HASH],
                   int *fd_r) WARN_UNUSED;

/* Looks at up to 100 blobs that have been dead for ten minutes, in one transaction. *n_r: how many there
 * were. */
enum { BLOB_REMOVE_MAX = 100 };
enum err blob_remove_dead(struct db *db, struct blob_store *store, uint64_t *n_r) WARN_UNUSED;

/* Removes up to 100 objects that have been dead for ten minutes, or only their rows in dead_objects if a
 * blob's row names them. *n_r: how many rows were removed. Ends after a second, and after the first failure:
 * ERR_UNAVAILABLE (logged); that object is tried again ten minutes later.
 */
enum err blob_remove_objects(struct db *db, struct blob_store *store, uint64_t *n_r) WARN_UNUSED;

enum blob_difference_kind { BLOB_OBJECT_MISSING, BLOB_OBJECT_OTHER_SIZE, BLOB_OBJECT_EXTRA };
struct blob_difference {
    enum blob_difference_kind kind;
    /* with the size of the object; of a missing one, that of the row */
    struct blob_id blob;
    /* of an object that no row names */
    int64_t age_s;
};
enum { BLOB_DIFFERENCES_MAX = 1000 };
/* Compares a page of blob_page.sql, which follows the hash `after`, with the objects of the store between
 * `after` and the page's last row, or to the end. *list_r, of ctx, has at most BLOB_DIFFERENCES_MAX entries.
 * ERR_UNAVAILABLE: the store cannot be reached. */
enum err blob_compare_objects(const struct blob_store *store, void *ctx, const uint8_t after[BLOB_HASH],
                              const struct db_rows *page, bool to_end, struct blob_difference **list_r,
                              size_t *n_r) WARN_UNUSED;

/* Compares the files and the objects with the rows, in steps. Zeroed at first. */
struct blob_sweep {
    /* The folders 00 to ff, then the rows. */
    int shard;
    uint8_t after[BLOB_HASH];
};
/* One step: the files of one folder, of which those without a row get one that is dead; or 500 rows, of which
 * those that no row has named for an hour are marked as dead, and named ones without bytes are logged as
 * blob.missing; objects in their range that no row names are dead after a day. *more_r: false after the
 * last one; the sweep begins anew. */
enum err blob_sweep_step(struct db *db, struct blob_store *store, struct blob_sweep *sweep,
                         bool *more_r) WARN_UNUSED;
