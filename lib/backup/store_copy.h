/* The files of the store (files.dir) in a backup: blobs and the packages of skills. Functions return NULL, or
 * a sentence of ctx that says what failed. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "backup/sums.h"
#include "base/config.h"
#include "blob/blob.h"

/* Settings of ctx for a store in `dir`, as blob_store_open_existing wants them. */
struct config *store_config(void *ctx, const char *dir);

struct store_copy {
    /* files.dir, the folder of the backup, and an earlier backup or NULL, whose blobs are linked to */
    const char *from, *to, *earlier;
    struct sums *sums;
    /* results */
    int64_t blobs, linked;
    /* blobs whose bytes are not those of their names, which were left out; an array of ctx */
    const char **damaged;
    size_t damaged_n;
};
/* The caller holds the store (blob_store_hold). */
const char *store_copy(void *ctx, const struct blob_store *store, struct store_copy *copy);

/* Copies blobs and packages that `to` lacks from `from`, which may lack either folder. Blobs whose bytes are
 * not those of their names are left out. *n_r: blobs and packages that were copied. */
const char *store_complete(void *ctx, const char *from, const char *to, int64_t *n_r);
