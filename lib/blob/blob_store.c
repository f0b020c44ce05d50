#define _GNU_SOURCE
#include "blob/blob_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <talloc.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

enum {
    COPY_BYTES = 128 * 1024,
    /* age of a temporary file that its writer has abandoned */
    STALE_S = 24 * 3600,
    WRITE_BACK_BYTES = 256 * 1024,
    WRITE_BACK_PAUSE_MAX_US = 20000,
    /* the transaction that writes the row of a published blob takes less time */
    YOUNG_S = 600,
};

struct blob_writer {
    struct blob_store *store;
    /* -1: finished */
    int fd;
    /* of the file in tmp/ */
    char name[64];
    /* the file in tmp/ exists */
    bool named;
    int64_t size;
    struct blob_id id;
    /* bytes that were written back to the disk, of `size` */
    int64_t written_back;
    /* libcrypto's, which uses the processor's SHA instructions: five times as fast as libsodium's */
    EVP_MD_CTX *hash;
};

enum err blob_failed(const char *action, const char *path)
{
    log_error("blob.io_failed", "action=%s path=%s message=\"%s\"", action, path, strerror(errno));
    return errno == ENOSPC || errno == EDQUOT ? ERR_LIMIT : ERR_INTERNAL;
}

/* --- the folders --- */

static int blob_store_destroy(struct blob_store *s)
{
    const int fds[] = {s->blobs_fd, s->tmp_fd, s->cache_fd, s->write_back_fd};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    return 0;
}

/* In a shared store the mode does not depend on the umask of the process that creates the folder. */
int blob_open_dir(const struct blob_store *s, const char *name, mode_t mode)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", s->dir, name);
    bool made = mkdir(path, mode) == 0;
    if ((!made && errno != EEXIST) || (made && s->is_shared && chmod(path, mode | S_ISGID | S_IWGRP) != 0))
        return -1;
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Writers take turns by locking this file. */
static int open_turn(const struct blob_store *s)
{
    int fd = openat(s->blobs_fd, ".turn", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0660);
    if (fd >= 0 && s->is_shared)
        (void)fchmod(fd, 0660);
    return fd >= 0 ? fd : openat(s->blobs_fd, ".turn", O_RDWR | O_CLOEXEC);
}

static bool has_setgid(const char *dir)
{
    struct stat st;
    return stat(dir, &st) == 0 && (st.st_mode & S_ISGID);
}

/* Removes the temporary files of writers that died. */
static void remove_stale_files(const struct blob_store *s)
{
    int fd = openat(s->tmp_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;
    struct stat st;
    while (dir && (entry = readdir(dir))) {
        if (fstatat(s->tmp_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
            st.st_mtime + STALE_S < time(NULL))
            unlinkat(s->tmp_fd, entry->d_name, 0);
    }
    if (dir)
        closedir(dir);
}

struct blob_store *blob_store_open(void *ctx, const struct config *config, struct object_counts *counts)
{
    const char *dir = config->files.dir;
    struct blob_store *s = talloc_zero(ctx, struct blob_store);
    s->cache_fd = -1;
    s->dir = talloc_strdup(s, dir);
    s->is_shared = has_setgid(dir);
    s->blobs_fd = blob_open_dir(s, "blobs", 0755);
    s->tmp_fd = blob_open_dir(s, "tmp", 0750);
    s->write_back_fd = s->blobs_fd < 0 ? -1 : open_turn(s);
    talloc_set_destructor(s, blob_store_destroy);
    if (s->blobs_fd < 0 || s->tmp_fd < 0 || s->write_back_fd < 0) {
        (void)blob_failed("open", dir);
        talloc_free(s);
        return NULL;
    }
    remove_stale_files(s);
    if (!blob_open_objects(s, config, counts))
        TALLOC_FREE(s);
    return s;
}

struct blob_store *blob_store_open_existing(void *ctx, const struct config *config)
{
    const char *dir = config->files.dir;
    struct blob_store *s = talloc_zero(ctx, struct blob_store);
    s->dir = talloc_strdup(s, dir);
    s->is_shared = has_setgid(dir); /* whoever looks first creates the cache for all */
    s->tmp_fd = s->write_back_fd = s->cache_fd = -1;
    s->blobs_fd = open(talloc_asprintf(s, "%s/blobs", dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    talloc_set_destructor(s, blob_store_destroy);
    if (s->blobs_fd < 0 || !blob_open_objects(s, config, NULL))
        TALLOC_FREE(s);
    return s;
}

struct object_store *blob_store_objects(const struct blob_store *store)
{
    return store->objects;
}

/* --- writing --- */

static int blob_writer_destroy(struct blob_writer *w)
{
    if (w->fd >= 0)
        close(w->fd);
    if (w->named)
        unlinkat(w->store->tmp_fd, w->name, 0);
    EVP_MD_CTX_free(w->hash);
    return 0;
}

struct blob_writer *blob_writer_new(void *ctx, struct blob_store *store)
{
    struct blob_writer *w = talloc_zero(ctx, struct blob_writer);
    id name = id_new();
    w->store = store;
    snprintf(w->name, sizeof w->name, "%s", name.text);
    w->fd = openat(store->tmp_fd, w->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (w->fd < 0) {
        (void)blob_failed("create", w->name);
        talloc_free(w);
        return NULL;
    }
    w->named = true;
    talloc_set_destructor(w, blob_writer_destroy);
    w->hash = EVP_MD_CTX_new();
    /* for the other users of a shared store, and nginx */
    if ((store->is_shared && fchmod(w->fd, 0644) != 0) || !w->hash ||
        EVP_DigestInit_ex(w->hash, EVP_sha256(), NULL) != 1)
        TALLOC_FREE(w);
    return w;
}

/* Writes back to the disk in pieces of 256 KiB, of one writer of the host at a time, and then pauses for as
 * long as the piece took, at most 20 ms. A commit of the database therefore waits for one piece at most, and
 * not for a gigabyte of dirty pages. Errors are not checked here, because fsync reports them. */
static void write_back(struct blob_writer *w)
{
    int lock_fd = w->store->write_back_fd;
    if (w->size - w->written_back < WRITE_BACK_BYTES)
        return;
    while (flock(lock_fd, LOCK_EX) != 0 && errno == EINTR)
        ;
    int64_t began_us = clock_boot_us();
    sync_file_range(w->fd, w->written_back, w->size - w->written_back,
                    SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
    int64_t pause_us = clock_boot_us() - began_us;
    if (pause_us > WRITE_BACK_PAUSE_MAX_US)
        pause_us = WRITE_BACK_PAUSE_MAX_US;
    nanosleep(&(struct timespec){.tv_nsec = pause_us * 1000}, NULL);
    flock(lock_fd, LOCK_UN);
    w->written_back = w->size;
}

enum err blob_write(struct blob_writer *w, const void *bytes, size_t size)
{
    if (EVP_DigestUpdate(w->hash, bytes, size) != 1)
        return blob_failed("hash", w->name);
    for (const char *p = bytes; size > 0;) {
        ssize_t n = write(w->fd, p, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return blob_failed("write", w->name);
        p += n;
        size -= (size_t)n;
        w->size += n;
    }
    write_back(w);
    return OK;
}

int64_t blob_written(const struct blob_writer *w)
{
    return w->size;
}

enum err blob_finish(struct blob_writer *w, struct blob_id *id_r)
{
    w->id.size = w->size;
    bool ok = EVP_DigestFinal_ex(w->hash, w->id.sha256, NULL) == 1 && fsync(w->fd) == 0;
    ok = close(w->fd) == 0 && ok;
    w->fd = -1;
    if (w->store->objects)
        w->id.object = id_new();
    *id_r = w->id;
    return ok ? OK : blob_failed("sync", w->name);
}

/* In a shared store the folder appears with its mode, because another user may write into it at once. */
static bool make_shard(struct blob_store *s, int parent_fd, const char *shard)
{
    if (!s->is_shared)
        return mkdirat(parent_fd, shard, 0755) == 0;
    id name = id_new();
    if (mkdirat(s->tmp_fd, name.text, 0755) != 0)
        return false;
    bool made = fchmodat(s->tmp_fd, name.text, 0755 | S_ISGID | S_IWGRP, 0) == 0 &&
                renameat2(s->tmp_fd, name.text, parent_fd, shard, RENAME_NOREPLACE) == 0;
    int error = errno;
    if (!made)
        unlinkat(s->tmp_fd, name.text, AT_REMOVEDIR);
    errno = error;
    return made;
}

/* Opens the folder of a blob, and creates it if it is missing. */
int blob_open_shard(struct blob_store *s, int parent_fd, const char *name)
{
    char shard[3] = {name[0], name[1], '\0'};
    int fd = openat(parent_fd, shard, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 || errno != ENOENT)
        return fd;
    if (make_shard(s, parent_fd, shard))
        fsync(parent_fd);
    else if (errno != EEXIST)
        return -1;
    return openat(parent_fd, shard, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Takes a lock on the blob that is there, which blob_remove does not pass. -1: there is none. */
static int lock_published(const struct blob_store *s, const char *name)
{
    int fd = openat(s->blobs_fd, name, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && flock(fd, LOCK_SH) != 0 && errno == EINTR)
        ;
    return fd;
}

/* may_remove counts from the publication, not from the last byte: other files of the same upload may have
 * arrived for longer than YOUNG_S since. */
static enum err publish_file(struct blob_writer *w)
{
    char name[BLOB_NAME + 1];
    blob_name(w->id.sha256, name);
    int shard = blob_open_shard(w->store, w->store->blobs_fd, name);
    int published = lock_published(w->store, name);
    bool ok = shard >= 0 && utimensat(w->store->tmp_fd, w->name, NULL, 0) == 0 &&
              renameat(w->store->tmp_fd, w->name, w->store->blobs_fd, name) == 0 && fsync(shard) == 0;
    enum err e = ok ? OK : blob_failed("keep", name);
    w->named = w->named && !ok;
    if (published >= 0)
        close(published);
    if (shard >= 0)
        close(shard);
    return e;
}

enum err blob_publish(struct blob_writer *w)
{
    if (!w->store->objects)
        return publish_file(w);
    int fd = openat(w->store->tmp_fd, w->name, O_RDONLY | O_CLOEXEC);
    enum err e = fd >= 0 ? blob_send(w->store, &w->id, fd) : blob_failed("send", w->name);
    if (fd >= 0)
        close(fd);
    /* the executor of this host is likely to need it */
    if (e == OK && blob_cache_keep(w->store, w->name, &w->id) == OK)
        w->named = false;
    return e;
}

/* Ends the writing of a copy. */
static enum err finish_copy(struct blob_writer *w, const struct blob_id *blob)
{
    struct blob_id got;
    enum err e = blob_finish(w, &got);
    if (e != OK || memcmp(got.sha256, blob->sha256, BLOB_HASH) == 0)
        return e;
    char name[BLOB_NAME + 1];
    blob_name(blob->sha256, name);
    log_error("blob.wrong_bytes", "name=%s size=%lld", name, (long long)got.size);
    return ERR_INTERNAL;
}

enum err blob_write_cached(struct blob_writer *w, const struct blob_id *blob, int *fd_r)
{
    enum err e = finish_copy(w, blob);
    *fd_r = e == OK ? openat(w->store->tmp_fd, w->name, O_RDONLY | O_CLOEXEC) : -1;
    if (e == OK && *fd_r < 0)
        e = blob_failed("open", w->name);
    if (e == OK)
        e = blob_cache_keep(w->store, w->name, blob);
    w->named = w->named && e != OK;
    if (e != OK && *fd_r >= 0) {
        close(*fd_r);
        *fd_r = -1;
    }
    return e;
}

static enum err copy_fd(struct blob_writer *w, int fd, int64_t max)
{
    char *buffer = talloc_size(w, COPY_BYTES);
    enum err e = OK;
    for (ssize_t n = 1; e == OK && n > 0;) {
        n = read(fd, buffer, COPY_BYTES);
        if (n < 0)
            e = blob_failed("read", w->name);
        else if (w->size + n > max)
            e = ERR_LIMIT;
        else if (n > 0)
            e = blob_write(w, buffer, (size_t)n);
    }
    talloc_free(buffer);
    return e;
}

enum err blob_copy_file(void *ctx, struct blob_store *store, int dir_fd, const char *path, int64_t max,
                        struct blob_writer **w_r, struct blob_id *id_r)
{
    struct stat st;
    int fd = openat(dir_fd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        if (fd >= 0)
            close(fd);
        return ERR_INVALID;
    }
    *w_r = blob_writer_new(ctx, store);
    enum err e = *w_r ? copy_fd(*w_r, fd, max) : ERR_INTERNAL;
    if (e == OK)
        e = blob_finish(*w_r, id_r);
    close(fd);
    return e;
}

/* --- removing --- */

struct blob_hold {
    int fd;
};

static int hold_destroy(struct blob_hold *hold)
{
    close(hold->fd);
    return 0;
}

/* A description of the folder of its own, so that the lock is not shared with other threads. It ends with the
 * descriptor, and so with the process. -1: the lock is not granted. */
static int lock_folder(const struct blob_store *s, int how)
{
    int fd = openat(s->blobs_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), result = -1;
    while (fd >= 0 && (result = flock(fd, how)) != 0 && errno == EINTR)
        ;
    if (fd >= 0 && result != 0) {
        int error = errno;
        close(fd);
        errno = error;
        fd = -1;
    }
    return fd;
}

struct blob_hold *blob_store_hold(void *ctx, const struct blob_store *store)
{
    int fd = lock_folder(store, LOCK_EX);
    if (fd < 0)
        return NULL;
    struct blob_hold *hold = talloc(ctx, struct blob_hold);
    hold->fd = fd;
    talloc_set_destructor(hold, hold_destroy);
    return hold;
}

/* The file that is open under the name is older than YOUNG_S, and no blob_publish is replacing it. */
static bool may_remove(const struct blob_store *s, int fd, const char *name)
{
    struct stat opened, named;
    return flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &opened) == 0 &&
           fstatat(s->blobs_fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 && opened.st_ino == named.st_ino &&
           named.st_mtime + YOUNG_S < time(NULL);
}

/* Removers share a lock, and one that holds the store has it alone. */
bool blob_remove(struct blob_store *store, const uint8_t sha256[BLOB_HASH])
{
    char name[BLOB_NAME + 1];
    blob_name(sha256, name);
    int fd = openat(store->blobs_fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return true;
    if (fd < 0) {
        (void)blob_failed("remove", name);
        return false;
    }
    int folder = lock_folder(store, LOCK_SH | LOCK_NB);
    if (folder < 0 && errno != EWOULDBLOCK)
        (void)blob_failed("lock", "blobs");
    bool may = folder >= 0 && may_remove(store, fd, name);
    bool removed = may && unlinkat(store->blobs_fd, name, 0) == 0;
    if (may && !removed)
        (void)blob_failed("remove", name);
    if (folder >= 0)
        close(folder);
    close(fd);
    return removed;
}

/* --- reading --- */

bool blob_look(const struct blob_store *store, const uint8_t sha256[BLOB_HASH], int64_t *size_r,
               int64_t *age_s_r)
{
    char name[BLOB_NAME + 1];
    struct stat st;
    blob_name(sha256, name);
    if (fstatat(store->blobs_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    *size_r = st.st_size;
    *age_s_r = time(NULL) - st.st_mtime;
    return true;
}

bool blob_exists(const struct blob_store *store, const uint8_t sha256[BLOB_HASH])
{
    char name[BLOB_NAME + 1];
    blob_name(sha256, name);
    return faccessat(store->blobs_fd, name, F_OK, 0) == 0;
}

static bool blob_of_name(const char *name, struct blob_id *found)
{
    size_t length;
    return strlen(name) == 2 * BLOB_HASH &&
           sodium_hex2bin(found->sha256, BLOB_HASH, name, 2 * BLOB_HASH, NULL, &length, NULL) == 0 &&
           length == BLOB_HASH;
}

size_t blob_list_shard(void *ctx, const struct blob_store *store, int shard, struct blob_id **list_r)
{
    char path[3];
    struct dirent *entry;
    struct stat st;
    size_t n = 0;
    int error = 0;
    snprintf(path, sizeof path, "%02x", (unsigned)shard & 0xff);
    *list_r = talloc_zero_array(ctx, struct blob_id, 0);
    int fd = openat(store->blobs_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir && errno != ENOENT)
        error = errno;
    while (dir && (errno = 0, entry = readdir(dir))) {
        struct blob_id found = {0};
        if (!blob_of_name(entry->d_name, &found))
            continue;
        if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
            error = errno == ENOENT ? error : errno;
            continue;
        }
        found.size = st.st_size;
        if (n == talloc_array_length(*list_r))
            *list_r = talloc_realloc(ctx, *list_r, struct blob_id, 2 * n + 64);
        (*list_r)[n++] = found;
    }
    if (dir && errno)
        error = errno;
    if (dir)
        closedir(dir);
    errno = error;
    return n;
}

void blob_name(const uint8_t sha256[BLOB_HASH], char name_r[BLOB_NAME + 1])
{
    sodium_bin2hex(name_r + 3, 2 * BLOB_HASH + 1, sha256, BLOB_HASH);
    name_r[0] = name_r[3];
    name_r[1] = name_r[4];
    name_r[2] = '/';
}

char *blob_path(void *ctx, const struct blob_store *store, const uint8_t sha256[BLOB_HASH])
{
    char name[BLOB_NAME + 1];
    blob_name(sha256, name);
    return talloc_asprintf(ctx, "%s/blobs/%s", store->dir, name);
}

int blob_open(const struct blob_store *store, const uint8_t sha256[BLOB_HASH])
{
    char name[BLOB_NAME + 1];
    blob_name(sha256, name);
    return openat(store->blobs_fd, name, O_RDONLY | O_CLOEXEC);
}
