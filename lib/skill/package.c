#define _GNU_SOURCE
#include "skill/package.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

#include "base/ids.h"
#include "base/log.h"
#include "base/utf8.h"
#include "skill/manifest.h"

enum { DEPTH_MAX = 16, COPY_BYTES = 64 * 1024 };

struct package_entry {
    /* relative to the folder */
    const char *path;
    bool is_dir, executable;
    int64_t size;
};

struct package_scan {
    void *ctx;
    const char *dir;
    struct package_entry *list;
    size_t n;
    int64_t bytes;
    struct json_problems *p;
};

/* --- listing the files --- */

static void scan_folder(struct package_scan *r, const char *below, int depth);

static void scan_entry(struct package_scan *r, const char *path, int depth)
{
    struct stat st;
    char *full = talloc_asprintf(r->ctx, "%s/%s", r->dir, path);
    if (lstat(full, &st) != 0 || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) ||
        !utf8_is_valid(path, strlen(path))) {
        json_problems_add(r->p, "", "%s is not a regular file or folder, or its name is not UTF-8", path);
        return;
    }
    if (r->n == PACKAGE_FILES_MAX || (r->bytes += S_ISREG(st.st_mode) ? st.st_size : 0) > PACKAGE_BYTES_MAX) {
        if (r->p->total == 0)
            json_problems_add(r->p, "", "has more than %d files or %d MiB", PACKAGE_FILES_MAX,
                              PACKAGE_BYTES_MAX / 1024 / 1024);
        return;
    }
    r->list = talloc_realloc(r->ctx, r->list, struct package_entry, r->n + 1);
    r->list[r->n++] = (struct package_entry){
        .path = path, .is_dir = S_ISDIR(st.st_mode), .executable = st.st_mode & 0100, .size = st.st_size};
    if (S_ISDIR(st.st_mode))
        scan_folder(r, path, depth + 1);
}

static void scan_folder(struct package_scan *r, const char *below, int depth)
{
    char *full = talloc_asprintf(r->ctx, "%s/%s", r->dir, below);
    DIR *dir = depth < DEPTH_MAX ? opendir(full) : NULL;
    struct dirent *entry;
    if (!dir) {
        json_problems_add(r->p, "", "%s cannot be read, or is nested too deeply", *below ? below : r->dir);
        return;
    }
    while ((entry = readdir(dir))) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        scan_entry(r, talloc_asprintf(r->ctx, "%s%s%s", below, *below ? "/" : "", name), depth);
    }
    closedir(dir);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct package_entry *)a)->path, ((const struct package_entry *)b)->path);
}

static void scan_package(struct package_scan *r)
{
    scan_folder(r, "", 0);
    if (r->n > 0)
        qsort(r->list, r->n, sizeof *r->list, by_path);
}

/* --- hashing, while reading or while copying --- */

/* What is hashed is an archive, too: for each file its path and a NUL, its type and size and a NUL, its
 * bytes. */
struct digest {
    crypto_hash_sha256_state state;
    /* NULL, or gets the archive */
    package_sink *sink;
    void *arg;
    enum err e;
};

static void digest_add(struct digest *d, const void *bytes, size_t size)
{
    crypto_hash_sha256_update(&d->state, bytes, size);
    if (d->sink && d->e == OK)
        d->e = d->sink(d->arg, bytes, size);
}

static void hash_head(struct digest *hash, const struct package_entry *e)
{
    char head[64];
    digest_add(hash, e->path, strlen(e->path) + 1);
    int n = snprintf(head, sizeof head, "%c%lld",
                     e->is_dir       ? 'd'
                     : e->executable ? 'x'
                                     : 'f',
                     e->is_dir ? 0LL : (long long)e->size);
    digest_add(hash, head, (size_t)n + 1);
}

/* Hashes a file and, if `to` is not -1, copies it there. False if its size has changed (errno 0) or on an
 * error (errno). */
static bool hash_file(struct digest *hash, const char *path, int64_t size, int to)
{
    char buffer[COPY_BYTES];
    int from = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    bool ok = from >= 0;
    errno = 0;
    for (ssize_t n = 1; ok && n > 0; size -= n) {
        n = read(from, buffer, sizeof buffer);
        ok = n >= 0 && n <= size && (to < 0 || write(to, buffer, (size_t)n) == n);
        if (ok)
            digest_add(hash, buffer, (size_t)n);
        else
            n = 0;
    }
    if (from >= 0)
        close(from);
    return ok && size == 0;
}

static bool copy_entry(struct digest *hash, const struct package_scan *r, const struct package_entry *e,
                       const char *into)
{
    char *from = talloc_asprintf(r->ctx, "%s/%s", r->dir, e->path);
    char *to = into ? talloc_asprintf(r->ctx, "%s/%s", into, e->path) : NULL;
    hash_head(hash, e);
    if (e->is_dir)
        return !to || (mkdir(to, 0755) == 0 && chmod(to, 0755) == 0);
    mode_t mode = e->executable ? 0755 : 0644;
    int fd = to ? open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode) : -1;
    bool ok = (!to || (fd >= 0 && fchmod(fd, mode) == 0)) && hash_file(hash, from, e->size, fd);
    if (fd >= 0)
        ok = fsync(fd) == 0 && close(fd) == 0 && ok;
    return ok;
}

static bool digest_all(const struct package_scan *r, const char *into, struct digest *hash,
                       uint8_t hash_r[PACKAGE_HASH])
{
    crypto_hash_sha256_init(&hash->state);
    bool ok = true;
    for (size_t i = 0; ok && hash->e == OK && i < r->n; i++)
        ok = copy_entry(hash, r, &r->list[i], into);
    crypto_hash_sha256_final(&hash->state, hash_r);
    return ok;
}

static bool hash_all(const struct package_scan *r, const char *into, uint8_t hash_r[PACKAGE_HASH])
{
    struct digest hash = {.e = OK};
    return digest_all(r, into, &hash, hash_r);
}

/* --- reading --- */

static bool read_manifest_text(struct package *k, struct json_problems *p)
{
    char *path = talloc_asprintf(k, "%s/skill.json", k->dir);
    FILE *f = fopen(path, "re");
    if (!f) {
        json_problems_add(p, "", "%s cannot be read", path);
        return false;
    }
    char *text = talloc_size(k, MANIFEST_BYTES_MAX + 2);
    k->manifest_size = fread(text, 1, MANIFEST_BYTES_MAX + 1, f);
    text[k->manifest_size] = '\0';
    k->manifest = text;
    fclose(f);
    return true;
}

enum err package_read(void *ctx, const char *dir, struct package **package_r, struct json_problems *p)
{
    struct package *k = talloc_zero(ctx, struct package);
    *package_r = k;
    k->dir = talloc_strdup(k, dir);
    if (!read_manifest_text(k, p))
        return ERR_INVALID;
    struct package_scan r = {.ctx = k, .dir = k->dir, .p = p};
    size_t before = p->total;
    scan_package(&r);
    if (p->total == before && !hash_all(&r, NULL, k->hash))
        json_problems_add(p, "", "the files cannot be read, or were changed while they were read");
    k->files_n = r.n;
    return p->total == before ? OK : ERR_INVALID;
}

/* --- installing --- */

char *package_path(void *ctx, const char *files_dir, const uint8_t hash[PACKAGE_HASH])
{
    char hex[2 * PACKAGE_HASH + 1];
    sodium_bin2hex(hex, sizeof hex, hash, PACKAGE_HASH);
    return talloc_asprintf(ctx, "%s/skills/%s", files_dir, hex);
}

static enum err package_failed(const char *action, const char *path)
{
    int error = errno; /* writing the log line may change errno */
    log_error("package.install_failed", "action=%s path=%s message=\"%s\"", action, path, strerror(error));
    return error == ENOSPC || error == EDQUOT ? ERR_LIMIT : ERR_INTERNAL;
}

static void remove_copy(const struct package_scan *r, const char *into)
{
    for (size_t i = r->n; i > 0; i--) {
        char *path = talloc_asprintf(r->ctx, "%s/%s", into, r->list[i - 1].path);
        if (remove(path) != 0 && errno != ENOENT)
            (void)package_failed("remove", path);
    }
    (void)rmdir(into);
}

static enum err copy_into(const struct package_scan *r, const struct package *k, const char *beside,
                          const char *final)
{
    uint8_t hash[PACKAGE_HASH];
    if (mkdir(beside, 0755) != 0 || chmod(beside, 0755) != 0)
        return package_failed("create", beside);
    if (!hash_all(r, beside, hash))
        return errno ? package_failed("copy", beside) : ERR_CONFLICT;
    if (memcmp(hash, k->hash, PACKAGE_HASH) != 0)
        return ERR_CONFLICT;
    if (rename(beside, final) == 0)
        return OK;
    /* another process installed the same files first */
    return errno == ENOTEMPTY || errno == EEXIST ? ERR_RETRY : package_failed("rename", final);
}

enum err package_open_folder(const char *files_dir, const char *skills)
{
    struct stat st;
    /* chmod, so that the folder is searchable whatever the umask is: runs started by root have uids of their
     * own */
    mode_t mode = stat(files_dir, &st) == 0 && (st.st_mode & S_ISGID) ? 02775 : 0755;
    bool ok = (mkdir(skills, 0755) == 0 && chmod(skills, mode) == 0) || errno == EEXIST;
    return ok ? OK : package_failed("create", skills);
}

enum err package_install(const struct package *k, const char *files_dir)
{
    void *ctx = talloc_new(NULL);
    struct package_scan r = {.ctx = ctx, .dir = k->dir, .p = json_problems_new(ctx)};
    char *skills = talloc_asprintf(ctx, "%s/skills", files_dir);
    char *beside = talloc_asprintf(ctx, "%s/.%s", skills, id_new().text);
    char *final = package_path(ctx, files_dir, k->hash);
    struct stat st;
    enum err e = package_open_folder(files_dir, skills);
    if (e == OK && stat(final, &st) != 0) {
        scan_package(&r);
        e = copy_into(&r, k, beside, final);
        if (e != OK)
            remove_copy(&r, beside);
    }
    talloc_free(ctx);
    return e == ERR_RETRY ? OK : e;
}

enum err package_archive(const struct package *k, package_sink *sink, void *arg)
{
    void *ctx = talloc_new(NULL);
    struct package_scan r = {.ctx = ctx, .dir = k->dir, .p = json_problems_new(ctx)};
    struct digest hash = {.sink = sink, .arg = arg};
    uint8_t found[PACKAGE_HASH];
    scan_package(&r);
    bool ok = digest_all(&r, NULL, &hash, found) && memcmp(found, k->hash, PACKAGE_HASH) == 0;
    talloc_free(ctx);
    return hash.e != OK ? hash.e : ok ? OK : ERR_CONFLICT;
}
