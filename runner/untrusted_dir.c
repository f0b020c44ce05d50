#define _GNU_SOURCE
#include "runner/untrusted_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

enum { OPEN_DIR = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK };

/* One walk. `file` and `folder` are called for each entry; either may be NULL. If one returns false, the walk
 * ends. */
struct dir_walk {
    unsigned entries;
    /* NULL: no limit is exceeded */
    const char *over_limit;
    bool (*file)(struct dir_walk *w, int dir_fd, const char *name, const char *relpath,
                 const struct stat *st);
    bool (*folder)(struct dir_walk *w, int dir_fd, const char *name);
    void *arg;
    uint64_t bytes;
    /* entries are visited in the order of the bytes of their paths, not in the order of the folder */
    bool sorted;
};

struct sorted_name {
    char *name;
    bool is_folder;
};

/* Opens a stream from the start of the folder. `dir_fd` stays open. */
static DIR *open_dir_stream(int dir_fd)
{
    int fd = openat(dir_fd, ".", OPEN_DIR);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (!d && fd >= 0)
        close(fd);
    return d;
}

static bool is_dot(const char *name)
{
    return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

static bool walk_dir(struct dir_walk *w, int dir_fd, const char *prefix, int depth);

static bool walk_dir_entry(struct dir_walk *w, int dir_fd, const char *name, const char *prefix, int depth)
{
    struct stat st;
    char path[UNTRUSTED_DIR_PATH_MAX];
    if (++w->entries > UNTRUSTED_DIR_ENTRIES_MAX)
        w->over_limit = "more than 20000 files and folders";
    else if (depth >= UNTRUSTED_DIR_DEPTH_MAX)
        w->over_limit = "folders nested more than 32 levels deep";
    if (w->over_limit)
        return false;
    /* DEPTH_MAX names of at most 255 bytes always fit */
    snprintf(path, sizeof path, "%s%s%s", prefix, *prefix ? "/" : "", name);
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return true; /* removed in the meantime */
    w->bytes += (uint64_t)st.st_blocks * 512;
    if (!S_ISDIR(st.st_mode))
        return !w->file || w->file(w, dir_fd, name, path, &st);
    if (w->folder && !w->folder(w, dir_fd, name))
        return false;
    int fd = openat(dir_fd, name, OPEN_DIR);
    bool proceed = fd < 0 || walk_dir(w, fd, path, depth + 1);
    if (fd >= 0)
        close(fd);
    return proceed;
}

static bool is_folder(int dir_fd, const struct dirent *e)
{
    struct stat st;
    if (e->d_type != DT_UNKNOWN)
        return e->d_type == DT_DIR;
    return fstatat(dir_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* A folder is compared as if its name ended with a slash, so that the walk has the order of the paths. */
static int compare_names(const void *a, const void *b)
{
    const struct sorted_name *x = a, *y = b;
    size_t i = 0;
    while (x->name[i] && x->name[i] == y->name[i])
        i++;
    unsigned char cx = (unsigned char)(x->name[i] ? x->name[i] : x->is_folder ? '/' : 0);
    unsigned char cy = (unsigned char)(y->name[i] ? y->name[i] : y->is_folder ? '/' : 0);
    return cx - cy;
}

/* At most as many names as the walk may still visit, and one more, which ends it. */
static struct sorted_name *read_names(const struct dir_walk *w, DIR *d, size_t *n_r)
{
    size_t most = UNTRUSTED_DIR_ENTRIES_MAX + 1 - w->entries;
    struct sorted_name *names = talloc_array(NULL, struct sorted_name, 16);
    *n_r = 0;
    for (struct dirent *e; *n_r < most && (e = readdir(d));) {
        if (is_dot(e->d_name))
            continue;
        if (*n_r == talloc_array_length(names))
            names = talloc_realloc(NULL, names, struct sorted_name, 2 * *n_r);
        names[(*n_r)++] = (struct sorted_name){talloc_strdup(names, e->d_name), is_folder(dirfd(d), e)};
    }
    if (*n_r > 0)
        qsort(names, *n_r, sizeof *names, compare_names);
    return names;
}

static bool walk_sorted(struct dir_walk *w, DIR *d, const char *prefix, int depth)
{
    size_t n;
    struct sorted_name *names = read_names(w, d, &n);
    bool proceed = true;
    for (size_t i = 0; proceed && i < n; i++)
        proceed = walk_dir_entry(w, dirfd(d), names[i].name, prefix, depth);
    talloc_free(names);
    return proceed;
}

static bool walk_dir(struct dir_walk *w, int dir_fd, const char *prefix, int depth)
{
    DIR *d = open_dir_stream(dir_fd);
    bool proceed = true;
    if (d && w->sorted)
        proceed = walk_sorted(w, d, prefix, depth);
    for (struct dirent *e; d && !w->sorted && proceed && (e = readdir(d));)
        if (!is_dot(e->d_name))
            proceed = walk_dir_entry(w, dirfd(d), e->d_name, prefix, depth);
    if (d)
        closedir(d);
    return proceed;
}

uint64_t untrusted_dir_usage(int dir_fd, const char **why_r)
{
    struct dir_walk w = {0};
    walk_dir(&w, dir_fd, "", 0);
    *why_r = w.over_limit;
    return w.over_limit ? UINT64_MAX : w.bytes;
}

struct file_visitor {
    untrusted_dir_visit *visit;
    void *arg;
};

static bool visit_file(struct dir_walk *w, int dir_fd, const char *name, const char *relpath,
                       const struct stat *st)
{
    const struct file_visitor *v = w->arg;
    return v->visit(v->arg, dir_fd, name, relpath, st);
}

void untrusted_dir_files(int dir_fd, untrusted_dir_visit *visit, void *arg)
{
    struct file_visitor v = {visit, arg};
    struct dir_walk w = {.file = visit_file, .arg = &v, .sorted = true};
    walk_dir(&w, dir_fd, "", 0);
}

/* Ignores a failure: the operation that needs the mode then fails and is reported. */
static void set_mode(int dir_fd, const char *name, mode_t mode)
{
    if (fchmodat(dir_fd, name, mode, 0) != 0)
        return;
}

static bool take_file_ownership(struct dir_walk *w, int dir_fd, const char *name, const char *relpath,
                                const struct stat *st)
{
    if (st->st_nlink > 1)
        return true;
    if (st->st_uid != geteuid() && fchownat(dir_fd, name, geteuid(), getegid(), AT_SYMLINK_NOFOLLOW) != 0)
        return true;
    if (S_ISREG(st->st_mode) && (st->st_mode & 07777) != 0644)
        set_mode(dir_fd, name,
                 /* the run's processes have ended, so nothing can replace the file by a link */
                 0644);
    return true;
}

static bool take_folder_ownership(struct dir_walk *w, int dir_fd, const char *name)
{
    if (fchownat(dir_fd, name, geteuid(), getegid(), AT_SYMLINK_NOFOLLOW) == 0)
        set_mode(dir_fd, name, 0755);
    return true;
}

void untrusted_dir_take_ownership(int dir_fd)
{
    struct dir_walk w = {.file = take_file_ownership, .folder = take_folder_ownership};
    fchmod(dir_fd,
           /* before the walk: if the runner is not root, the owner may have removed its own access */
           0755);
    walk_dir(&w, dir_fd, "", 0);
    if (fchown(dir_fd, geteuid(), getegid()) != 0)
        return; /* the folder still belongs to the slot's user */
}

/* Empties and removes `name`, a folder in the folder `top`: files are removed, subfolders are moved up into
 * `top`, to be emptied later. So neither depth nor path length can exceed what this program handles. */
static bool flatten(int top, const char *name, unsigned long *serial)
{
    int fd = openat(top, name, OPEN_DIR);
    if (fd < 0) {
        set_mode(top, name, 0700);
        fd = openat(top, name, OPEN_DIR);
    }
    if (fd < 0)
        return false;
    fchmod(fd, 0700);
    DIR *d = open_dir_stream(fd);
    bool good = d != NULL;
    for (struct dirent *e; d && (e = readdir(d));) {
        char up[64];
        if (is_dot(e->d_name) || unlinkat(fd, e->d_name, 0) == 0)
            continue;
        snprintf(up, sizeof up, ".gone-%d-%lu", (int)getpid(), (*serial)++);
        set_mode(fd, e->d_name,
                 /* renaming a folder needs write access to it, because its ".." changes */
                 0700);
        good &= renameat(fd, e->d_name, top, up) == 0;
    }
    if (d)
        closedir(d);
    close(fd);
    return good && unlinkat(top, name, AT_REMOVEDIR) == 0;
}

/* Makes one pass over `top`. *remaining_r is set if there was any entry but `kept`. */
static bool remove_entries_once(int top, const char *kept, unsigned long *serial, bool *remaining_r)
{
    DIR *d = open_dir_stream(top);
    bool good = d != NULL;
    *remaining_r = false;
    for (struct dirent *e; d && (e = readdir(d));) {
        if (is_dot(e->d_name) || (kept && strcmp(e->d_name, kept) == 0))
            continue;
        *remaining_r = true;
        if (unlinkat(top, e->d_name, 0) != 0)
            good &= flatten(top, e->d_name, serial);
    }
    if (d)
        closedir(d);
    return good;
}

bool untrusted_dir_empty(int dir_fd, const char *kept)
{
    unsigned long serial = 0;
    bool remaining = true, good = true;
    while (remaining && good)
        good = remove_entries_once(dir_fd, kept, &serial, &remaining);
    return good;
}

bool untrusted_dir_remove(const char *path)
{
    chmod(path, 0700);
    int top = open(path, OPEN_DIR);
    if (top < 0)
        return errno == ENOENT;
    bool good = untrusted_dir_empty(top, NULL);
    close(top);
    return good && rmdir(path) == 0;
}
