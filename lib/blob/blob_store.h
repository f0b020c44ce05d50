/* The store, as the files of this room share it. */
#pragma once

#include <sys/types.h>

#include "blob/blob.h"

struct blob_store {
    const char *dir;
    int blobs_fd, tmp_fd;
    /* files.dir has the setgid bit: several users write here, and everybody who may enter files.dir reads */
    bool is_shared;
    /* locked by the writer that writes back to the disk, one on the host at a time */
    int write_back_fd;

    /* NULL: blob.store is directory */
    struct object_store *objects;
    /* -1: there is no cache */
    int cache_fd;
    int64_t cache_max;
    /* bytes that this process has added to the cache since it last compared its size with the limit; -1: it
     * has never done so */
    _Atomic int64_t cache_added;
};

/* Logs errno. ERR_LIMIT: the disk is full. */
enum err blob_failed(const char *action, const char *path);
/* A folder of files.dir, which is created. -1: errno. */
int blob_open_dir(const struct blob_store *s, const char *name, mode_t mode);
/* The folder of the blob `name` below `parent_fd`, which is created. -1: errno. */
int blob_open_shard(struct blob_store *s, int parent_fd, const char *name);

/* Opens the object store and the cache if blob.store is s3. False: they cannot be used (logged). */
bool blob_open_objects(struct blob_store *s, const struct config *config, struct object_counts *counts);
/* Sends the file's bytes as the blob's object. */
enum err blob_send(struct blob_store *s, const struct blob_id *blob, int fd);
/* Finishes the writer of a copy of `blob`, opens it for reading (*fd_r, which the caller closes) and puts it
 * into the cache. ERR_INTERNAL: these are other bytes. */
enum err blob_write_cached(struct blob_writer *w, const struct blob_id *blob, int *fd_r);
/* Moves the file `name` of tmp/ into the cache, and removes copies that were not used for the longest time if
 * the cache is too large. */
enum err blob_cache_keep(struct blob_store *s, const char *name, const struct blob_id *blob);
