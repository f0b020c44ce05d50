#define _GNU_SOURCE
#include "backup/binlog.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

#include "backup/tree.h"

/* The first event after the magic of 4 bytes describes the format; the flags of an event are at byte 17. */
enum { FLAGS_AT = 4 + 17, IN_USE = 1 };

static const char *failed(void *ctx, const char *path)
{
    return talloc_asprintf(ctx, "%s: %s", path, strerror(errno));
}

/* The length of the part before the number, and the number. False: it is no name of a log. */
static bool split_name(const char *name, size_t *prefix_r, long *number_r)
{
    const char *dot = strrchr(name, '.');
    char *end;
    if (!dot || !dot[1] || strspn(dot + 1, "0123456789") != strlen(dot + 1))
        return false;
    *prefix_r = (size_t)(dot + 1 - name);
    *number_r = strtol(dot + 1, &end, 10);
    return true;
}

/* The highest number of a log with this prefix in the folder; -1: it cannot be read. */
static long last_number(const char *dir, const char *first, size_t prefix)
{
    DIR *d = opendir(dir);
    long last = d ? 0 : -1, number;
    size_t length;
    for (const struct dirent *entry; d && (entry = readdir(d));) {
        if (split_name(entry->d_name, &length, &number) && length == prefix &&
            strncmp(entry->d_name, first, prefix) == 0 && number > last)
            last = number;
    }
    if (d)
        closedir(d);
    return last;
}

const char *binlog_list(void *ctx, const char *dir, const char *first, const char ***paths_r, size_t *n_r)
{
    size_t prefix;
    long number;
    *n_r = 0;
    *paths_r = talloc_array(ctx, const char *, 0);
    if (!split_name(first, &prefix, &number))
        return talloc_asprintf(ctx, "%s is no name of a binary log", first);
    long last = last_number(dir, first, prefix);
    if (last < 0)
        return failed(ctx, dir);
    int width = (int)strlen(first + prefix);
    for (long i = number; i <= (last > number ? last : number); i++) {
        char *path = talloc_asprintf(ctx, "%s/%.*s%0*ld", dir, (int)prefix, first, width, i);
        if (access(path, R_OK) != 0)
            return failed(ctx, path);
        *paths_r = talloc_realloc(ctx, *paths_r, const char *, *n_r + 1);
        (*paths_r)[(*n_r)++] = path;
    }
    return NULL;
}

const char *binlog_copy_open(void *ctx, const char *path, const char *to, bool *copied_r)
{
    uint8_t flags = 0;
    struct tree_sum sum;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool is_log = fd >= 0 && pread(fd, &flags, 1, FLAGS_AT) == 1;
    if (fd >= 0)
        close(fd);
    *copied_r = is_log && (flags & IN_USE);
    if (!is_log)
        return talloc_asprintf(ctx, "%s is no binary log", path);
    if (!*copied_r)
        return NULL;
    const char *why = tree_copy_file(ctx, path, to, &sum);
    flags &= (uint8_t)~IN_USE;
    fd = why ? -1 : open(to, O_WRONLY | O_CLOEXEC);
    if (!why && (fd < 0 || pwrite(fd, &flags, 1, FLAGS_AT) != 1))
        why = failed(ctx, to);
    if (fd >= 0)
        close(fd);
    return why;
}
