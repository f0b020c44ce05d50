/* The object store behind the blobs, and the cache of its bytes below files.dir. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <talloc.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "blob/blob_store.h"

enum { READ_BYTES = 128 * 1024, MIB = 1024 * 1024, CACHE_PARTS = 16, HEX = 2 * BLOB_HASH };

/* --- opening --- */

/* The secret of the access key, of ctx. NULL: logged. */
static const char *read_secret(void *ctx, const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0 && (st.st_mode & S_IRWXO)) {
        log_error("objects.secret_refused",
                  "file=%s message=\"is accessible to other users: run chmod o= on it\"", path);
        return NULL;
    }
    return config_password(ctx, path);
}

bool blob_open_objects(struct blob_store *s, const struct config *config, struct object_counts *counts)
{
    if (strcmp(config->blob.store, "s3") != 0)
        return true;
    const char *secret = read_secret(s, config->blob.secret_file);
    if (s->tmp_fd < 0)
        s->tmp_fd = blob_open_dir(s, "tmp", 0750);
    s->cache_fd = blob_open_dir(s, "cache", 0755);
    s->cache_max = config->blob.cache_mib * MIB;
    s->cache_added = -1;
    if (!secret || s->cache_fd < 0 || s->tmp_fd < 0) {
        if (secret)
            (void)blob_failed("open", "cache");
        return false;
    }
    const struct object_settings settings = {.endpoint = config->blob.endpoint,
                                             .socket = config->blob.socket,
                                             .bucket = config->blob.bucket,
                                             .region = config->blob.region,
                                             .access_key = config->blob.access_key,
                                             .secret = secret,
                                             .path_style = strcmp(config->blob.path_style, "yes") == 0,
                                             .timeout_s = config->blob.timeout_s};
    s->objects = object_store_new(s, &settings, counts);
    return true;
}

/* --- keys --- */

void blob_object_key(const struct blob_id *blob, char key_r[BLOB_KEY + 1])
{
    sodium_bin2hex(key_r, HEX + 1, blob->sha256, BLOB_HASH);
    snprintf(key_r + HEX, BLOB_KEY + 1 - HEX, "/%s", blob->object.text);
}

bool blob_of_object_key(const char *key, struct blob_id *blob_r)
{
    size_t n;
    return strlen(key) == BLOB_KEY && key[HEX] == '/' &&
           sodium_hex2bin(blob_r->sha256, BLOB_HASH, key, HEX, NULL, &n, NULL) == 0 && n == BLOB_HASH &&
           id_parse(key + HEX + 1, ID_LENGTH, &blob_r->object);
}

enum err blob_send(struct blob_store *s, const struct blob_id *blob, int fd)
{
    char key[BLOB_KEY + 1], hex[HEX + 1];
    blob_object_key(blob, key);
    sodium_bin2hex(hex, sizeof hex, blob->sha256, BLOB_HASH);
    return object_put(s->objects, key, fd, blob->size, hex);
}

/* --- the cache's size --- */

struct copy {
    char name[BLOB_NAME + 1];
    int64_t bytes;
    struct timespec used;
};

static int by_use(const void *a, const void *b)
{
    const struct timespec *x = &((const struct copy *)a)->used, *y = &((const struct copy *)b)->used;
    if (x->tv_sec != y->tv_sec)
        return x->tv_sec < y->tv_sec ? -1 : 1;
    return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

/* Adds the copies of one folder to *list. */
static size_t list_copies(void *ctx, const struct blob_store *s, int shard, struct copy **list, size_t n)
{
    char folder[3];
    struct dirent *entry;
    struct stat st;
    snprintf(folder, sizeof folder, "%02x", (unsigned)shard & 0xff);
    int fd = openat(s->cache_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    while (dir && (entry = readdir(dir))) {
        if (strlen(entry->d_name) != HEX || fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        if (!*list || n == talloc_array_length(*list))
            *list = talloc_realloc(ctx, *list, struct copy, 2 * n + 64);
        struct copy *c = &(*list)[n++];
        *c = (struct copy){.bytes = st.st_size, .used = st.st_mtim};
        snprintf(c->name, sizeof c->name, "%s/%.*s", folder, HEX, entry->d_name);
    }
    if (dir)
        closedir(dir);
    return n;
}

static void limit_cache(struct blob_store *s)
{
    void *ctx = talloc_new(NULL);
    struct copy *list = NULL;
    size_t n = 0;
    int64_t bytes = 0;
    for (int shard = 0; shard < BLOB_SHARDS; shard++)
        n = list_copies(ctx, s, shard, &list, n);
    for (size_t i = 0; i < n; i++)
        bytes += list[i].bytes;
    if (n > 0 && bytes > s->cache_max)
        qsort(list, n, sizeof *list, by_use);
    for (size_t i = 0; i < n && bytes > s->cache_max; i++) {
        unlinkat(s->cache_fd, list[i].name, 0); /* another process may have removed it */
        bytes -= list[i].bytes;
    }
    talloc_free(ctx);
}

static void note_added(struct blob_store *s, int64_t bytes)
{
    if (atomic_load(&s->cache_added) >= 0 &&
        atomic_fetch_add(&s->cache_added, bytes) + bytes <= s->cache_max / CACHE_PARTS)
        return;
    atomic_store(&s->cache_added, 0);
    limit_cache(s);
}

enum err blob_cache_keep(struct blob_store *s, const char *name, const struct blob_id *blob)
{
    char to[BLOB_NAME + 1];
    blob_name(blob->sha256, to);
    int shard = blob_open_shard(s, s->cache_fd, to);
    bool ok = shard >= 0 && renameat(s->tmp_fd, name, s->cache_fd, to) == 0;
    enum err e = ok ? OK : blob_failed("cache", to);
    if (shard >= 0)
        close(shard);
    if (ok)
        note_added(s, blob->size);
    return e;
}

/* --- reading through the cache --- */

static bool hash_matches(int fd, const uint8_t sha256[BLOB_HASH])
{
    uint8_t got[BLOB_HASH];
    char *buffer = malloc(READ_BYTES);
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    ssize_t n = 0;
    bool ok = buffer && hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1;
    for (off_t at = 0; ok && (n = pread(fd, buffer, READ_BYTES, at)) > 0; at += n)
        ok = EVP_DigestUpdate(hash, buffer, (size_t)n) == 1;
    ok = ok && n == 0 && EVP_DigestFinal_ex(hash, got, NULL) == 1 && memcmp(got, sha256, BLOB_HASH) == 0;
    EVP_MD_CTX_free(hash);
    free(buffer);
    return ok;
}

/* The verified copy, which counts as used now. -1: there is none. One with other bytes is removed. */
static int open_copy(struct blob_store *s, const char *name, const uint8_t sha256[BLOB_HASH])
{
    int fd = openat(s->cache_fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    if (hash_matches(fd, sha256)) {
        (void)utimensat(s->cache_fd, name, NULL, 0); /* of another user's file: it keeps its time */
        return fd;
    }
    log_warn("blob.cache_damaged", "name=%s", name);
    unlinkat(s->cache_fd, name, 0);
    close(fd);
    return -1;
}

struct copying {
    struct blob_writer *writer;
    enum err e;
};

static bool on_bytes(void *arg, const char *bytes, size_t n)
{
    struct copying *c = arg;
    c->e = blob_write(c->writer, bytes, n);
    return c->e == OK;
}

/* *fd_r is of the copy itself, because its name may be gone at once: the cache is limited, and has processes
 * of several users. */
static enum err get_copy(struct blob_store *s, const struct blob_id *blob, int *fd_r)
{
    char key[BLOB_KEY + 1];
    struct copying c = {.writer = blob_writer_new(NULL, s)};
    if (!c.writer)
        return ERR_INTERNAL;
    blob_object_key(blob, key);
    enum err e = object_get(s->objects, key, on_bytes, &c);
    if (e == OK)
        e = blob_write_cached(c.writer, blob, fd_r);
    talloc_free(c.writer);
    return c.e != OK ? c.e : e;
}

enum err blob_fetch(struct blob_store *store, const struct blob_id *blob, int *fd_r)
{
    char name[BLOB_NAME + 1];
    blob_name(blob->sha256, name);
    *fd_r = open_copy(store, name, blob->sha256);
    return *fd_r >= 0 ? OK : get_copy(store, blob, fd_r);
}

/* Links the file that is open, whatever has become of its name. */
static bool link_open_file(int fd, const char *to)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, path, AT_FDCWD, to, AT_SYMLINK_FOLLOW) == 0;
}

/* For what cannot be linked: a copy of another user (fs.protected_hardlinks), or on another file system. */
static enum err copy_open_file(int fd, const char *to)
{
    char *buffer = malloc(READ_BYTES);
    int out = buffer ? open(to, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0400) : -1;
    ssize_t n = out >= 0 ? 1 : -1, written = 0;
    for (off_t at = 0; n > 0 && (n = pread(fd, buffer, READ_BYTES, at)) > 0; at += n) {
        for (ssize_t done = 0; n > 0 && done < n; done += written) {
            written = write(out, buffer + done, (size_t)(n - done));
            if (written <= 0)
                n = -1;
        }
    }
    enum err e = n == 0 ? OK : blob_failed("copy", to);
    if (out >= 0 && close(out) != 0 && e == OK)
        e = blob_failed("copy", to);
    free(buffer);
    return e;
}

static enum err link_copy(struct blob_store *store, const struct blob_id *blob, const char *to)
{
    int fd;
    enum err e = blob_fetch(store, blob, &fd);
    if (e != OK)
        return e;
    if (!link_open_file(fd, to))
        e = copy_open_file(fd, to);
    close(fd);
    return e;
}

enum err blob_link(void *ctx, struct blob_store *store, const struct blob_id *blob, const char *to,
                   const char **path_r)
{
    if (store->objects && id_is_set(&blob->object)) {
        *path_r = to;
        return link_copy(store, blob, to);
    }
    const char *path = blob_path(ctx, store, blob->sha256);
    *path_r = link(path, to) == 0 ? to : path;
    return OK;
}
