#define _GNU_SOURCE
#include "backup/store_copy.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

struct config *store_config(void *ctx, const char *dir)
{
    struct config *c = talloc_zero(ctx, struct config);
    c->files.dir = dir;
    c->blob.store = "directory";
    return c;
}

/* --- blobs --- */

/* Links to the blob of an earlier backup. Its bytes are read, because damage would pass from backup to
 * backup, and the good bytes would be lost with the store. False: there is none with the bytes of its name,
 * or no link is possible. */
static bool link_earlier(void *ctx, const struct store_copy *copy, const char *name,
                         const uint8_t sha256[BLOB_HASH], const char *to, struct tree_sum *sum_r)
{
    if (!copy->earlier)
        return false;
    const char *from = talloc_asprintf(ctx, "%s/blobs/%s", copy->earlier, name);
    return !tree_copy_file(ctx, from, NULL, sum_r) && memcmp(sum_r->sha256, sha256, BLOB_HASH) == 0 &&
           !tree_make_parents(ctx, to) && link(from, to) == 0;
}

static void add_damaged(void *ctx, struct store_copy *copy, const char *name)
{
    copy->damaged = talloc_realloc(ctx, copy->damaged, const char *, (unsigned)copy->damaged_n + 1);
    copy->damaged[copy->damaged_n++] = talloc_strdup(ctx, name);
}

static const char *copy_blob(void *ctx, void *scratch, const struct blob_store *store,
                             struct store_copy *copy, const struct blob_id *blob)
{
    char name[BLOB_NAME + 1];
    struct tree_sum sum;
    blob_name(blob->sha256, name);
    char *to = talloc_asprintf(scratch, "%s/blobs/%s", copy->to, name);
    if (link_earlier(scratch, copy, name, blob->sha256, to, &sum)) {
        copy->linked++;
    } else {
        const char *why = tree_copy_file(ctx, blob_path(scratch, store, blob->sha256), to, &sum);
        if (why)
            return why;
        if (memcmp(sum.sha256, blob->sha256, BLOB_HASH) != 0) {
            add_damaged(ctx, copy, name);
            return unlink(to) == 0 ? NULL : talloc_asprintf(ctx, "%s: %s", to, strerror(errno));
        }
    }
    copy->blobs++;
    sums_add(copy->sums, talloc_asprintf(scratch, "blobs/%s", name), &sum);
    return NULL;
}

/* Of errno. */
static const char *shard_failed(void *ctx, int shard)
{
    return talloc_asprintf(ctx, "the blobs in the folder %02x cannot be listed: %s", (unsigned)shard,
                           strerror(errno));
}

static const char *copy_blobs(void *ctx, const struct blob_store *store, struct store_copy *copy)
{
    const char *why = NULL;
    for (int shard = 0; !why && shard < BLOB_SHARDS; shard++) {
        void *scratch = talloc_new(ctx);
        struct blob_id *list;
        size_t n = blob_list_shard(scratch, store, shard, &list);
        if (errno)
            why = shard_failed(ctx, shard);
        for (size_t i = 0; !why && i < n; i++)
            why = copy_blob(ctx, scratch, store, copy, &list[i]);
        talloc_free(scratch);
    }
    return why;
}

/* --- packages of skills --- */

struct package_copy {
    void *ctx;
    /* "skills/HASH" */
    const char *name;
    const char *from, *to;
    /* NULL: no sums are written */
    struct sums *sums;
};

static const char *copy_package_file(void *arg, const char *path)
{
    const struct package_copy *p = arg;
    void *scratch = talloc_new(p->ctx);
    struct tree_sum sum;
    char *name = talloc_asprintf(scratch, "%s/%s", p->name, path);
    const char *why = tree_copy_file(p->ctx, talloc_asprintf(scratch, "%s/%s", p->from, name),
                                     talloc_asprintf(scratch, "%s/%s", p->to, name), &sum);
    if (!why && p->sums)
        sums_add(p->sums, name, &sum);
    talloc_free(scratch);
    return why;
}

/* Names of installed packages; others are being installed. */
static bool is_package(const char *name)
{
    return strlen(name) == TREE_SUM_TEXT && strspn(name, "0123456789abcdef") == TREE_SUM_TEXT;
}

/* Copies the packages that `to` lacks. */
static const char *copy_packages(void *ctx, const char *from, const char *to, struct sums *sums, int64_t *n_r)
{
    const char *folder = talloc_asprintf(ctx, "%s/skills", from), *why = NULL;
    DIR *dir = opendir(folder);
    if (!dir)
        return errno == ENOENT ? NULL : talloc_asprintf(ctx, "%s: %s", folder, strerror(errno));
    for (const struct dirent *d; !why && (errno = 0, d = readdir(dir));) {
        struct package_copy p = {ctx, talloc_asprintf(ctx, "skills/%s", d->d_name), from, to, sums};
        if (!is_package(d->d_name) || access(talloc_asprintf(ctx, "%s/%s", to, p.name), F_OK) == 0)
            continue;
        why = tree_visit(ctx, talloc_asprintf(ctx, "%s/%s", from, p.name), copy_package_file, &p);
        ++*n_r;
    }
    if (!why && errno)
        why = talloc_asprintf(ctx, "%s: %s", folder, strerror(errno));
    closedir(dir);
    return why;
}

/* --- the whole --- */

const char *store_copy(void *ctx, const struct blob_store *store, struct store_copy *copy)
{
    int64_t packages = 0;
    const char *why = copy_blobs(ctx, store, copy);
    return why ? why : copy_packages(ctx, copy->from, copy->to, copy->sums, &packages);
}

static const char *complete_blob(void *ctx, const struct blob_store *from, const char *to,
                                 const struct blob_id *blob, int64_t *n_r)
{
    char name[BLOB_NAME + 1];
    struct tree_sum sum;
    blob_name(blob->sha256, name);
    const char *path = talloc_asprintf(ctx, "%s/blobs/%s", to, name);
    if (access(path, F_OK) == 0)
        return NULL;
    const char *why = tree_copy_file(ctx, blob_path(ctx, from, blob->sha256), path, &sum);
    if (why || memcmp(sum.sha256, blob->sha256, BLOB_HASH) == 0) {
        ++*n_r;
        return why;
    }
    return unlink(path) == 0 ? NULL : talloc_asprintf(ctx, "%s: %s", path, strerror(errno));
}

const char *store_complete(void *ctx, const char *from, const char *to, int64_t *n_r)
{
    const char *why = NULL;
    *n_r = 0;
    struct blob_store *store = blob_store_open_existing(ctx, store_config(ctx, from));
    if (!store && errno != ENOENT)
        return talloc_asprintf(ctx, "%s: %s", from, strerror(errno));
    for (int shard = 0; store && !why && shard < BLOB_SHARDS; shard++) {
        struct blob_id *list;
        size_t n = blob_list_shard(ctx, store, shard, &list);
        if (errno)
            why = shard_failed(ctx, shard);
        for (size_t i = 0; !why && i < n; i++)
            why = complete_blob(ctx, store, to, &list[i], n_r);
    }
    return why ? why : copy_packages(ctx, from, to, NULL, n_r);
}
