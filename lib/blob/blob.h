/* Blobs: byte sequences named by their SHA-256, on local disk below files.dir, or in an object store
 * (blob.store = s3; docs/files.md). Uploaded files, artifacts and logs are blobs, and with an object store
 * the packages of skills; equal bytes are stored once. A blob is written to a temporary file, synced and
 * renamed, or sent to the store as one object, so it appears whole or not at all, and it never changes.
 *
 *   blobs/ab/abcd…   a blob
 *   cache/ab/abcd…   a copy of a blob that is in the object store
 *   tmp/…            blobs that are being written
 *   skills/…         packages, see lib/skill/package.h
 *
 * If files.dir has the setgid bit, it is shared by the users of its group: what they create below it belongs
 * to the group, which may write the folders, and the blobs are readable for everybody who may enter files.dir
 * (nginx). Otherwise the modes are those of the umask.
 *
 * A blob is kept while a row of files, artifacts or execution_usage names it; blob_rows.h says how it is
 * removed. Bytes are published before the transaction that writes their row. A file that was published in the
 * last ten minutes is never removed, so that this transaction may take its time; publishing and removing one
 * blob exclude each other by a lock on its file. In an object store nothing can exclude them; there, every
 * publication makes an object with a name of its own, SHA-256/UUID, and the row of the blob says which object
 * has its bytes. A store may be used by several threads. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/config.h"
#include "mariadb/db.h"
#include "objects/object_store.h"

enum {
    /* SHA-256 */
    BLOB_HASH = 32,
    /* "ab/abcd…", without the NUL */
    BLOB_NAME = 2 + 1 + 2 * BLOB_HASH,
    /* Folders of a store: 00 to ff. */
    BLOB_SHARDS = 256,
};

struct blob_store;
struct blob_id {
    uint8_t sha256[BLOB_HASH];
    int64_t size;
    /* the object that has the bytes; not set: they are below blobs/ */
    id object;
};

/* Creates the folders that are missing and removes temporary files older than a day, which writers that died
 * have left. `counts`: of the requests to the object store, or NULL. NULL: the folders or the file of the
 * secret cannot be used (logged). */
struct blob_store *blob_store_open(void *ctx, const struct config *config, struct object_counts *counts);

/* For reading only: creates no folder that is not there but the cache's, and removes nothing. NULL: there is
 * no store, or no permission (errno), or the file of the secret cannot be used (logged). */
struct blob_store *blob_store_open_existing(void *ctx, const struct config *config);

/* NULL: blob.store is directory. */
struct object_store *blob_store_objects(const struct blob_store *store);

/* --- writing --- */
struct blob_writer;
/* NULL: the disk is full, or there is no permission (logged). Freeing the writer removes what was not
 * published. */
struct blob_writer *blob_writer_new(void *ctx, struct blob_store *store);
/* ERR_LIMIT: the disk is full. ERR_INTERNAL: another error of the disk. Both are logged, here and below. */
enum err blob_write(struct blob_writer *w, const void *bytes, size_t size) WARN_UNUSED;
/* Bytes written so far. */
int64_t blob_written(const struct blob_writer *w);
/* Syncs the file and returns the blob's name. The blob cannot be opened yet. */
enum err blob_finish(struct blob_writer *w, struct blob_id *id_r) WARN_UNUSED;
/* Moves the finished blob to its place, where it replaces equal bytes; or sends it to the object store.
 * ERR_UNAVAILABLE: the store cannot be reached (logged); the call may be repeated. */
enum err blob_publish(struct blob_writer *w) WARN_UNUSED;
/* Copies a file into a finished writer. ERR_LIMIT: it has more than `max` bytes, or the disk is full.
 * ERR_INVALID: it is not a regular file (symbolic links are not followed). */
enum err blob_copy_file(void *ctx, struct blob_store *store, int dir_fd, const char *path, int64_t max,
                        struct blob_writer **w_r, struct blob_id *id_r) WARN_UNUSED;

/* --- removing: see blob_rows.h --- */
/* True: the bytes are not there any more. False: they were published in the last ten minutes, somebody holds
 * the store, or an error (logged). */
bool blob_remove(struct blob_store *store, const uint8_t sha256[BLOB_HASH]) WARN_UNUSED;

/* While the returned value lives, of ctx, no process removes bytes from below blobs/ (objects are not held):
 * a backup copies the rows first, and then the blobs that they name. Waits for a removal in progress. NULL:
 * the folder cannot be locked (errno). */
struct blob_hold;
struct blob_hold *blob_store_hold(void *ctx, const struct blob_store *store);

/* --- bytes that are in the object store --- */
enum { BLOB_KEY = 2 * BLOB_HASH + 1 + ID_LENGTH };
/* The key of the blob's object: "abcd…/UUID". The object must be set. */
void blob_object_key(const struct blob_id *blob, char key_r[BLOB_KEY + 1]);
/* False: it is the key of something else. The size is not set. */
bool blob_of_object_key(const char *key, struct blob_id *blob_r);
/* Opens a copy in the cache whose hash was verified, and gets it from the store first if there is none. The
 * caller closes *fd_r. ERR_NOT_FOUND: there is no such object. ERR_UNAVAILABLE: the store cannot be reached.
 * ERR_INTERNAL: the disk, or other bytes than the name says. ERR_LIMIT: the disk is full. All but the first
 * are logged. */
enum err blob_fetch(struct blob_store *store, const struct blob_id *blob, int *fd_r) WARN_UNUSED;
/* Makes the hard link `to` of the blob's local bytes: those below blobs/ if its object is not set, else those
 * of blob_fetch. *path_r, of ctx, is `to`. Where no link can be made, `to` is a copy of those of blob_fetch,
 * which the cache may drop; for those below blobs/, *path_r is their path. Errors as of blob_fetch. */
enum err blob_link(void *ctx, struct blob_store *store, const struct blob_id *blob, const char *to,
                   const char **path_r) WARN_UNUSED;

/* --- reading what is below blobs/ --- */
/* The size of a blob's bytes and how long ago they were published, by this host's clock. False: they are not
 * there. */
bool blob_look(const struct blob_store *store, const uint8_t sha256[BLOB_HASH], int64_t *size_r,
               int64_t *age_s_r);
/* The blob's path below blobs/: "ab/abcd…". */
void blob_name(const uint8_t sha256[BLOB_HASH], char name_r[BLOB_NAME + 1]);
/* The blob's whole path, of ctx. The blob need not exist. */
char *blob_path(void *ctx, const struct blob_store *store, const uint8_t sha256[BLOB_HASH]);
/* A descriptor that the caller closes. -1: there is no such blob. */
int blob_open(const struct blob_store *store, const uint8_t sha256[BLOB_HASH]);
bool blob_exists(const struct blob_store *store, const uint8_t sha256[BLOB_HASH]);
/* The blobs in the folder 00 (shard 0) to ff (255), allocated on ctx. errno other than 0: the list is not
 * complete. */
size_t blob_list_shard(void *ctx, const struct blob_store *store, int shard, struct blob_id **list_r);
