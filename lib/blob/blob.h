/* Blobs: bytes under the name of their SHA-256, on local disk below files.dir. Uploaded files, artifacts and
 * logs all are blobs; equal ones are kept once. A blob appears whole or not at all (a file beside it, fsync,
 * rename) and is never changed. Another store (an object store, say) would be another implementation of this.
 *
 *   blobs/ab/abcd…   a blob
 *   tmp/…            what is being written
 *   skills/…         packages, see lib/skill/package.h
 *
 * A blob is kept while a row of files, artifacts or execution_usage names it. Who adds one holds the store
 * (shared) from before blob_publish until its row is committed; who removes one holds it alone: so that none
 * is taken away between. The hold is a lock on a file and goes with the process. A store may be used by
 * several threads. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mariadb/db.h"

enum { BLOB_HASH = 32, BLOB_NAME = 2 + 1 + 2 * BLOB_HASH /* "ab/abcd…" */ };

struct blob_store;
struct blob_id {
    uint8_t sha256[BLOB_HASH];
    int64_t size;
};

/* Makes the folders where they are missing and forgets what others left half-written a day ago. NULL where
 * that cannot be (logged). */
struct blob_store *blob_store_open(void *ctx, const char *dir);

/* --- writing --- */
struct blob_writer;
/* NULL: there is no room, or no permission (logged). Of ctx; what is not kept goes with it. */
struct blob_writer *blob_writer_new(void *ctx, struct blob_store *store);
/* ERR_LIMIT: the disk is full; ERR_INTERNAL. */
enum err blob_write(struct blob_writer *w, const void *bytes, size_t size) WARN_UNUSED;
int64_t blob_written(const struct blob_writer *w);
/* On the disk, but not in its place yet: its name is known. */
enum err blob_finish(struct blob_writer *w, struct blob_id *id_r) WARN_UNUSED;
/* In its place; the store is held. */
enum err blob_publish(struct blob_writer *w) WARN_UNUSED;
/* A whole file, of any owner's folder, as a finished writer: copied, at most `max` bytes (ERR_LIMIT).
 * Symbolic links are refused (ERR_INVALID). */
enum err blob_copy_file(void *ctx, struct blob_store *store, int dir_fd, const char *path, int64_t max,
                        struct blob_writer **w_r, struct blob_id *id_r) WARN_UNUSED;

/* --- holding --- */
enum err blob_lock_shared(struct blob_store *store) WARN_UNUSED;
void blob_unlock_shared(struct blob_store *store);

/* Takes away those of the `n` blobs that no row names any more. Not by a thread that holds. What cannot be
 * removed within a second stays: it costs disk, nothing else. */
void blob_remove_unused(struct blob_store *store, struct db *db, const struct blob_id *ids, size_t n);

/* --- reading --- */
/* "ab/abcd…", below blobs/. */
void blob_name(const uint8_t sha256[BLOB_HASH], char name_r[BLOB_NAME + 1]);
/* Its path, of ctx; whether it is there is not asked. */
char *blob_path(void *ctx, const struct blob_store *store, const uint8_t sha256[BLOB_HASH]);
/* A descriptor, -1 where there is none. */
int blob_open(const struct blob_store *store, const uint8_t sha256[BLOB_HASH]);
