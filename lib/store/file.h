/* Uploaded files: the personal collection of a principal in a workspace. A file is a name for a blob. */
#pragma once

#include "blob/blob.h"
#include "mariadb/db.h"
#include "store/quota.h"

enum { FILE_NAME_BYTES_MAX = 255, FILES_LIST_MAX = 1000 };

struct file {
    const char *name;
    struct blob_id blob;
    const char *media_type;
    int64_t created_ms;
};

/* A page, sorted by name, that begins after the name `after` ("": from the first). */
enum err file_list(struct db *db, void *ctx, const id *workspace, const id *principal, const char *after,
                   int64_t limit, struct file **list_r, size_t *count_r) WARN_UNUSED;
/* ERR_NOT_FOUND: no such file. */
enum err file_get(struct db *db, void *ctx, const id *workspace, const id *principal, const char *name,
                  struct file *file_r) WARN_UNUSED;
/* Those of the names that exist, in any order, with their names in form C. Files that an earlier version has
 * stored by their names in form D are found too. */
enum err file_find(struct db *db, void *ctx, const id *workspace, const id *principal,
                   const char *const *names, size_t n, struct file **list_r, size_t *count_r) WARN_UNUSED;
/* The bytes of all files of the principal. */
enum err file_used_bytes(struct db *db, void *ctx, const id *workspace, const id *principal,
                         int64_t *bytes_r) WARN_UNUSED;
/* Stores all files or none, replacing files of the same names; each name occurs once in `files`. ERR_LIMIT:
 * the collection would exceed files.principal_max_bytes. ERR_DENIED: the workspace would exceed the quota
 * *excess_r. The blobs are published already. */
enum err file_put_all(struct db *db, void *ctx, const id *workspace, const id *principal,
                      const struct file *files, size_t n, const struct config *config,
                      struct quota_excess *excess_r) WARN_UNUSED;
/* Has the blobs of files that were not stored removed. A failure is logged; the sweep of blobs finds them. */
void file_discard(struct db *db, const struct file *files, size_t n);
/* Deletes the file in either spelling of its name. ERR_NOT_FOUND: no such file. */
enum err file_delete(struct db *db, const id *workspace, const id *principal, const char *name) WARN_UNUSED;

/* The part after the last slash or backslash, in Unicode normalization form C, of ctx. NULL if it is no valid
 * name: empty, ".", "..", longer than FILE_NAME_BYTES_MAX, not UTF-8, or with control characters anywhere in
 * `text`. */
const char *file_basename(void *ctx, const char *text);
/* The name under which a file that is asked for as `name` (valid UTF-8) is stored: form C, of ctx. The
 * functions above do this for the names that they are given. */
const char *file_name_normal(void *ctx, const char *name);
/* True if the media type that a client sent may be stored and sent as a header: `type/subtype`, printable
 * ASCII, less than 200 octets. */
bool file_media_type_fits(const char *type);
