#define _GNU_SOURCE
#include "backup/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

enum { COPY_BYTES = 256 * 1024 };

static const char *failed(void *ctx, const char *path)
{
    return talloc_asprintf(ctx, "%s: %s", path, strerror(errno));
}

/* --- walking --- */

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static FTS *open_walk(void *ctx, const char *root)
{
    char *const roots[] = {talloc_strdup(ctx, root), NULL};
    return fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, by_name);
}

/* fts reports errors in the entry, and the end of the walk by errno 0. */
static const char *entry_problem(void *ctx, const FTSENT *entry)
{
    switch (entry->fts_info) {
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        return talloc_asprintf(ctx, "%s: %s", entry->fts_path, strerror(entry->fts_errno));
    case FTS_D:
    case FTS_DP:
    case FTS_F:
        return NULL;
    default:
        return talloc_asprintf(ctx, "%s is neither a file nor a folder", entry->fts_path);
    }
}

const char *tree_visit(void *ctx, const char *root, tree_visitor *visit, void *arg)
{
    FTS *walk = open_walk(ctx, root);
    const char *why = walk ? NULL : failed(ctx, root);
    size_t skip = strlen(root) + 1;
    for (FTSENT *entry; walk && !why && (errno = 0, entry = fts_read(walk));) {
        why = entry_problem(ctx, entry);
        if (!why && entry->fts_info == FTS_F)
            why = visit(arg, entry->fts_path + skip);
    }
    if (walk && !why && errno)
        why = failed(ctx, root);
    if (walk)
        fts_close(walk);
    return why;
}

const char *tree_remove(void *ctx, const char *root)
{
    struct stat st;
    if (lstat(root, &st) != 0)
        return errno == ENOENT ? NULL : failed(ctx, root);
    FTS *walk = open_walk(ctx, root);
    const char *why = walk ? NULL : failed(ctx, root);
    for (FTSENT *entry; walk && !why && (entry = fts_read(walk));) {
        if (entry->fts_info != FTS_D && remove(entry->fts_path) != 0)
            why = failed(ctx, entry->fts_path);
    }
    if (walk)
        fts_close(walk);
    return why;
}

const char *tree_give(void *ctx, const char *root, uid_t user, gid_t group, mode_t folders)
{
    FTS *walk = open_walk(ctx, root);
    const char *why = walk ? NULL : failed(ctx, root);
    for (FTSENT *entry; walk && !why && (entry = fts_read(walk));) {
        why = entry_problem(ctx, entry);
        if (why || entry->fts_info == FTS_D)
            continue;
        /* chown may clear the setgid bit, so the mode comes second */
        if (lchown(entry->fts_path, user, group) != 0 ||
            (entry->fts_info == FTS_DP && chmod(entry->fts_path, folders) != 0))
            why = failed(ctx, entry->fts_path);
    }
    if (walk)
        fts_close(walk);
    return why;
}

/* --- copying --- */

const char *tree_make_parents(void *ctx, const char *path)
{
    char *folder = talloc_strdup(ctx, path);
    const char *why = NULL;
    for (char *slash = strchr(folder + 1, '/'); slash && !why; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(folder, 0755) != 0 && errno != EEXIST)
            why = failed(ctx, folder);
        *slash = '/';
    }
    talloc_free(folder);
    return why;
}

static bool write_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, bytes, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        bytes += n;
        size -= (size_t)n;
    }
    return true;
}

/* Reads `from` to its end; writes to `to` unless that is -1. errno says what failed. */
static bool pump(int from, int to, char *buffer, EVP_MD_CTX *hash, struct tree_sum *sum_r)
{
    sum_r->size = 0;
    for (;;) {
        ssize_t n = read(from, buffer, COPY_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            return EVP_DigestFinal_ex(hash, sum_r->sha256, NULL) == 1;
        if (n < 0 || EVP_DigestUpdate(hash, buffer, (size_t)n) != 1 ||
            (to >= 0 && !write_all(to, buffer, (size_t)n)))
            return false;
        sum_r->size += n;
    }
}

static const char *copy_open_file(void *ctx, int in, const char *from, const char *to, struct tree_sum *sum_r)
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    char *buffer = talloc_size(ctx, COPY_BYTES);
    struct stat st;
    int out = -1;
    const char *why = NULL;
    if (fstat(in, &st) != 0 || !hash || EVP_DigestInit_ex(hash, EVP_sha256(), NULL) != 1)
        why = failed(ctx, from);
    if (!why && to)
        why = tree_make_parents(ctx, to);
    if (!why && to && (out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) < 0)
        why = failed(ctx, to);
    if (!why && !pump(in, out, buffer, hash, sum_r))
        why = failed(ctx, to ? to : from);
    if (!why && to && fchmod(out, st.st_mode & 0777) != 0)
        why = failed(ctx, to);
    if (out >= 0 && close(out) != 0 && !why)
        why = failed(ctx, to);
    EVP_MD_CTX_free(hash);
    talloc_free(buffer);
    return why;
}

const char *tree_copy_file(void *ctx, const char *from, const char *to, struct tree_sum *sum_r)
{
    int in = open(from, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (in < 0)
        return failed(ctx, from);
    (void)posix_fadvise(in, 0, 0, POSIX_FADV_SEQUENTIAL);
    const char *why = copy_open_file(ctx, in, from, to, sum_r);
    close(in);
    return why;
}

const char *tree_sync(void *ctx, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    const char *why = fd >= 0 && syncfs(fd) == 0 && fsync(fd) == 0 ? NULL : failed(ctx, path);
    if (fd >= 0)
        close(fd);
    return why;
}

/* --- targets --- */

/* On another file system than its parent folder. */
static bool is_mount_point(void *ctx, const char *path)
{
    struct stat own, parent;
    return stat(path, &own) == 0 && stat(talloc_asprintf(ctx, "%s/..", path), &parent) == 0 &&
           own.st_dev != parent.st_dev;
}

const char *tree_check_target(void *ctx, const char *path)
{
    DIR *dir = opendir(path);
    if (!dir)
        return errno == ENOENT ? NULL : failed(ctx, path);
    bool is_empty = true;
    for (const struct dirent *d; is_empty && (d = readdir(dir));)
        is_empty = strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0;
    closedir(dir);
    if (!is_empty)
        return talloc_asprintf(ctx, "%s is not empty: nothing is restored over existing data", path);
    if (is_mount_point(ctx, path))
        return talloc_asprintf(ctx, "%s is a mount point: name a folder below it", path);
    return NULL;
}
