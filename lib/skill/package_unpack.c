#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

#include "base/ids.h"
#include "base/log.h"
#include "skill/package.h"

enum { PATH_BYTES_MAX = 4096, HEAD_MAX = 32, COPY_BYTES = 64 * 1024 };

struct unpacking {
    void *ctx;
    FILE *from;
    const char *into;
    /* what was made, in this order */
    const char **made;
    size_t made_n;
};

static enum err unpack_failed(const char *action, const char *path)
{
    int error = errno; /* writing the log line may change errno */
    log_error("package.install_failed", "action=%s path=%s message=\"%s\"", action, path, strerror(error));
    return error == ENOSPC || error == EDQUOT ? ERR_LIMIT : ERR_INTERNAL;
}

/* Reads up to a NUL. False: there is none within `max` bytes. */
static bool read_text(FILE *from, char *text, size_t max)
{
    for (size_t n = 0; n < max; n++) {
        int c = getc(from);
        if (c == EOF)
            return false;
        text[n] = (char)c;
        if (c == '\0')
            return true;
    }
    return false;
}

/* Relative, and without empty parts and those of one or two dots. */
static bool is_inner_path(const char *path)
{
    for (const char *part = path;; part++) {
        size_t n = strcspn(part, "/");
        if (n == 0 || (n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.'))
            return false;
        part += n;
        if (!*part)
            return true;
    }
}

static enum err copy_bytes(struct unpacking *u, const char *path, int64_t size, int to)
{
    char *buffer = talloc_size(u->ctx, COPY_BYTES);
    enum err e = OK;
    while (e == OK && size > 0) {
        size_t part = size < COPY_BYTES ? (size_t)size : COPY_BYTES, n = fread(buffer, 1, part, u->from);
        if (n < part)
            e = ERR_INVALID;
        for (size_t done = 0;
             e == OK && done < n;) { /* a full disk takes a part first, and tells at the rest */
            ssize_t written = write(to, buffer + done, n - done);
            if (written <= 0)
                e = unpack_failed("write", path);
            else
                done += (size_t)written;
        }
        size -= (int64_t)n;
    }
    talloc_free(buffer);
    return e;
}

static enum err unpack_file(struct unpacking *u, const char *path, bool executable, int64_t size)
{
    mode_t mode = executable ? 0755 : 0644;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return unpack_failed("create", path);
    enum err e = fchmod(fd, mode) == 0 ? copy_bytes(u, path, size, fd) : unpack_failed("create", path);
    if (e == OK && fsync(fd) != 0)
        e = unpack_failed("sync", path);
    if (close(fd) != 0 && e == OK)
        e = unpack_failed("close", path);
    return e;
}

/* One file or folder. */
static enum err unpack_entry(struct unpacking *u, const char *name)
{
    char head[HEAD_MAX] = "", *end;
    if (!is_inner_path(name) || !read_text(u->from, head, sizeof head) || !strchr("dxf", head[0]) ||
        u->made_n == PACKAGE_FILES_MAX)
        return ERR_INVALID;
    long long size = strtoll(head + 1, &end, 10);
    if (!head[1] || *end || size < 0 || size > PACKAGE_BYTES_MAX)
        return ERR_INVALID;
    const char *path = talloc_asprintf(u->ctx, "%s/%s", u->into, name);
    u->made[u->made_n++] = path;
    if (head[0] != 'd')
        return unpack_file(u, path, head[0] == 'x', size);
    return mkdir(path, 0755) == 0 && chmod(path, 0755) == 0 ? OK : unpack_failed("create", path);
}

static enum err unpack_all(struct unpacking *u)
{
    char name[PATH_BYTES_MAX] = "";
    enum err e = OK;
    for (int c; e == OK && (c = getc(u->from)) != EOF;) {
        ungetc(c, u->from);
        e = read_text(u->from, name, sizeof name) ? unpack_entry(u, name) : ERR_INVALID;
    }
    return e == OK && ferror(u->from) ? ERR_INTERNAL : e;
}

static void remove_made(const struct unpacking *u)
{
    for (size_t i = u->made_n; i > 0; i--)
        (void)remove(u->made[i - 1]);
    (void)rmdir(u->into);
}

static enum err unpack_to(struct unpacking *u, const char *final)
{
    if (mkdir(u->into, 0755) != 0 || chmod(u->into, 0755) != 0)
        return unpack_failed("create", u->into);
    enum err e = unpack_all(u);
    if (e != OK)
        return e;
    if (rename(u->into, final) == 0)
        return OK;
    /* another process installed the same files first */
    return errno == ENOTEMPTY || errno == EEXIST ? ERR_RETRY : unpack_failed("rename", final);
}

enum err package_unpack(int fd, const uint8_t hash[PACKAGE_HASH], const char *files_dir)
{
    void *ctx = talloc_new(NULL);
    struct unpacking u = {.ctx = ctx, .made = talloc_array(ctx, const char *, PACKAGE_FILES_MAX)};
    const char *skills = talloc_asprintf(ctx, "%s/skills", files_dir);
    const char *final = package_path(ctx, files_dir, hash);
    struct stat st;
    int copy = dup(fd);
    enum err e = package_open_folder(files_dir, skills);
    u.into = talloc_asprintf(ctx, "%s/.%s", skills, id_new().text);
    u.from = copy >= 0 && lseek(copy, 0, SEEK_SET) == 0 ? fdopen(copy, "r") : NULL;
    if (e == OK && !u.from)
        e = unpack_failed("open", final);
    else if (e == OK && stat(final, &st) != 0)
        e = unpack_to(&u, final);
    if (e != OK)
        remove_made(&u);
    if (u.from)
        fclose(u.from);
    else if (copy >= 0)
        close(copy);
    talloc_free(ctx);
    return e == ERR_RETRY ? OK : e;
}
