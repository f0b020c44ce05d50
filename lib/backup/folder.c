#define _GNU_SOURCE
#include "backup/folder.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <talloc.h>
#include <time.h>
#include <unistd.h>

#include "backup/manifest.h"
#include "backup/tree.h"

/* 0: a digit */
static const char pattern[] = "0000-00-00T00-00-00Z";
enum { NAME = sizeof pattern - 1 };

static const char *failed(void *ctx, const char *path)
{
    return talloc_asprintf(ctx, "%s: %s", path, strerror(errno));
}

char *folder_name(void *ctx, int64_t wall_ms)
{
    time_t seconds = wall_ms / 1000;
    struct tm utc;
    char text[64];
    gmtime_r(&seconds, &utc);
    strftime(text, sizeof text, "%Y-%m-%dT%H-%M-%SZ", &utc);
    return talloc_strdup(ctx, text);
}

/* The first characters are a name; more may follow. */
static bool begins_with_name(const char *text)
{
    for (size_t i = 0; i < NAME; i++) {
        if (pattern[i] == '0' ? !isdigit((unsigned char)text[i]) : text[i] != pattern[i])
            return false;
    }
    return true;
}

bool folder_is_name(const char *name)
{
    return begins_with_name(name) && !name[NAME];
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *folder_list(void *ctx, const char *dir, const char ***names_r, size_t *n_r)
{
    DIR *d = opendir(dir);
    *n_r = 0;
    *names_r = talloc_array(ctx, const char *, 0);
    if (!d)
        return failed(ctx, dir);
    for (const struct dirent *entry; (entry = readdir(d));) {
        if (!folder_is_name(entry->d_name) ||
            access(talloc_asprintf(ctx, "%s/%s/" MANIFEST_FILE, dir, entry->d_name), F_OK) != 0)
            continue;
        *names_r = talloc_realloc(ctx, *names_r, const char *, *n_r + 1);
        (*names_r)[(*n_r)++] = talloc_strdup(ctx, entry->d_name);
    }
    closedir(d);
    if (*n_r > 0)
        qsort(*names_r, *n_r, sizeof **names_r, by_text);
    return NULL;
}

const char *folder_remove_partial(void *ctx, const char *dir)
{
    DIR *d = opendir(dir);
    const char *why = d ? NULL : failed(ctx, dir);
    for (const struct dirent *entry; d && !why && (entry = readdir(d));) {
        if (begins_with_name(entry->d_name) && strcmp(entry->d_name + NAME, FOLDER_PARTIAL) == 0)
            why = tree_remove(ctx, talloc_asprintf(ctx, "%s/%s", dir, entry->d_name));
    }
    if (d)
        closedir(d);
    return why;
}

/* What is being removed is no whole backup any more. */
static const char *remove_backup(void *ctx, const char *dir, const char *name)
{
    const char *whole = talloc_asprintf(ctx, "%s/%s", dir, name);
    const char *partial = talloc_asprintf(ctx, "%s" FOLDER_PARTIAL, whole);
    return rename(whole, partial) == 0 ? tree_remove(ctx, partial) : failed(ctx, whole);
}

const char *folder_keep(void *ctx, const char *dir, size_t keep, size_t *n_r)
{
    const char **names;
    size_t n;
    *n_r = 0;
    const char *why = folder_list(ctx, dir, &names, &n);
    for (; !why && *n_r + keep < n; ++*n_r)
        why = remove_backup(ctx, dir, names[*n_r]);
    return why;
}

const char *folder_lock(void *ctx, const char *dir, int *fd_r)
{
    *fd_r = -1;
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return failed(ctx, dir);
    /* inherited by mariadb-backup, which may live for a moment after its creator was killed */
    *fd_r = open(dir, O_RDONLY | O_DIRECTORY);
    if (*fd_r >= 0 && flock(*fd_r, LOCK_EX | LOCK_NB) == 0)
        return NULL;
    const char *why = *fd_r >= 0 && errno == EWOULDBLOCK
                          ? talloc_asprintf(ctx, "%s: another `millrace backup create` is working here", dir)
                          : failed(ctx, dir);
    if (*fd_r >= 0)
        close(*fd_r);
    *fd_r = -1;
    return why;
}
