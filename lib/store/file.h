/* Uploaded files: the personal collection of a principal in a workspace. A file is a name for a blob. */
#pragma once

#include "blob/blob.h"
#include "run/accept.h"

enum { FILE_NAME_BYTES_MAX = 255, FILES_LIST_MAX = 1000 };

struct file {
    const char *name;
    struct blob_id blob;
    const char *media_type;
    int64_t created_ms;
};

/* A page, by name, after `after` ("" for the first). */
enum err file_list(struct db *db, void *ctx, const id *workspace, const id *principal, const char *after,
                   int64_t limit, struct file **list_r, size_t *count_r) WARN_UNUSED;
enum err file_get(struct db *db, void *ctx, const id *workspace, const id *principal, const char *name,
                  struct file *file_r) WARN_UNUSED;
/* Those of the names that are there, in no order. */
enum err file_find(struct db *db, void *ctx, const id *workspace, const id *principal,
                   const char *const *names, size_t n, struct file **list_r, size_t *count_r) WARN_UNUSED;
/* Puts all of them, or none: replaces those of the same names (each name comes once in `files`). ERR_LIMIT:
 * the collection would weigh more than `max` bytes. The store is held. *replaced_r, of ctx: blobs that may be
 * unused now. */
enum err file_put_all(struct db *db, void *ctx, const id *workspace, const id *principal,
                      const struct file *files, size_t n, int64_t max, struct blob_id **replaced_r,
                      size_t *replaced_n_r) WARN_UNUSED;
/* *blob_r may be unused now. */
enum err file_delete(struct db *db, void *ctx, const id *workspace, const id *principal, const char *name,
                     struct blob_id *blob_r) WARN_UNUSED;

/* What stands behind the last slash or backslash; NULL where that is no name (empty, ".", "..", too long, not
 * UTF-8, control characters). Points into `text`. */
const char *file_basename(const char *text);
