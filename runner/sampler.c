#define _GNU_SOURCE
#include "runner/sampler.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/untrusted_dir.h"

enum { HELD_FILES_MAX = 1024, EXACT_TRIES = 3 };

int sampler_open_proc(pid_t init_pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/root/proc", (int)init_pid);
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static size_t read_proc_file(int dir_fd, const char *name, char *buf, size_t size)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n = fd >= 0 ? read(fd, buf, size - 1) : -1;
    if (fd >= 0)
        close(fd);
    buf[n > 0 ? n : 0] = '\0';
    return n > 0 ? (size_t)n : 0;
}

/* Returns the number that follows "\nNAME:" in a text of /proc; 0 if the name is absent. */
static uint64_t proc_field(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static DIR *open_dir_copy(int fd)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
    if (!d && copy >= 0)
        close(copy);
    return d;
}

static bool is_pid(const char *name)
{
    return *name >= '0' && *name <= '9';
}

/* The exact number of KiB of a process of which `rss_kib` are in memory. It is 0 if the process has given up
 * its memory since; not if this process may not read it. */
static uint64_t exact_kib(int proc_fd, const char *pid, uint64_t rss_kib)
{
    char path[300], text[4096];
    snprintf(path, sizeof path, "%.20s/smaps_rollup", pid);
    errno = 0;
    if (read_proc_file(proc_fd, path, text, sizeof text))
        return proc_field(text, "\nPss_Anon:") + proc_field(text, "\nPss_Shmem:") +
               proc_field(text, "\nSwapPss:");
    return errno == ESRCH || errno == ENOENT ? 0 : rss_kib;
}

/* KiB in memory and swap, of a text of /proc/PID/status. */
static uint64_t resident_kib(const char *status)
{
    return proc_field(status, "\nRssAnon:") + proc_field(status, "\nRssShmem:") +
           proc_field(status, "\nVmSwap:");
}

/* The same for a process whose first thread has ended while others run: only the files of those threads show
 * its memory. */
static uint64_t kib_of_threads(int proc_fd, const char *pid)
{
    char path[300], text[4096];
    uint64_t kib = 0;
    snprintf(path, sizeof path, "%.20s/task", pid);
    int fd = openat(proc_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    for (struct dirent *e; kib == 0 && d && (e = readdir(d));) {
        snprintf(path, sizeof path, "%.20s/status", e->d_name);
        if (is_pid(e->d_name) && read_proc_file(dirfd(d), path, text, sizeof text))
            kib = resident_kib(text);
    }
    if (d)
        closedir(d);
    else if (fd >= 0)
        close(fd);
    return kib;
}

static void add_process_usage(int proc_fd, const char *pid, bool exact, struct runner_usage *u)
{
    char path[300], text[4096];
    snprintf(path, sizeof path, "%.20s/status", pid);
    if (!read_proc_file(proc_fd, path, text, sizeof text))
        return;
    if (strcmp(pid, "1") != 0) {
        u->tasks += (unsigned)proc_field(text, "\nThreads:");
        u->processes++;
        u->pid = atoi(pid);
    }
    uint64_t kib = resident_kib(text);
    if (exact && kib)
        kib = exact_kib(proc_fd, pid, kib);
    else if (proc_field(text, "\nThreads:") > 1 && !strstr(text, "\nRssAnon:"))
        kib = kib_of_threads(proc_fd, pid);
    u->memory_bytes += kib * 1024;
    snprintf(path, sizeof path, "%.20s/io", pid);
    if (read_proc_file(proc_fd, path, text, sizeof text))
        u->written_bytes += proc_field(text, "\nwrite_bytes:");
}

static bool sum_usage(int proc_fd, bool exact, struct runner_usage *u)
{
    DIR *d = open_dir_copy(proc_fd);
    bool any = false;
    *u = (struct runner_usage){0};
    for (struct dirent *e; d && (e = readdir(d));)
        if (is_pid(e->d_name)) {
            add_process_usage(proc_fd, e->d_name, exact, u);
            any = true;
        }
    if (d)
        closedir(d);
    return any;
}

bool sampler_usage(int proc_fd, uint64_t memory_max, struct runner_usage *usage_r)
{
    if (!sum_usage(proc_fd, false, usage_r))
        return false;
    for (int i = 0; i < EXACT_TRIES && usage_r->memory_bytes > memory_max; i++)
        if (!sum_usage(proc_fd, true, usage_r))
            return false;
    return true;
}

bool sampler_same_mounts(int proc_fd, int pid)
{
    char path[64], ours[4096], theirs[4096];
    snprintf(path, sizeof path, "%d/mountinfo", pid);
    int a = openat(proc_fd, "1/mountinfo", O_RDONLY | O_CLOEXEC);
    int b = openat(proc_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool same = a >= 0 && b >= 0;
    /* equal tables are returned in equal pieces of whole lines */
    for (ssize_t n = 1; same && n > 0;) {
        n = read(a, ours, sizeof ours);
        same = n >= 0 && read(b, theirs, sizeof theirs) == n && memcmp(ours, theirs, (size_t)n) == 0;
    }
    if (a >= 0)
        close(a);
    if (b >= 0)
        close(b);
    return same;
}

struct held_files {
    dev_t dev;
    ino_t seen[HELD_FILES_MAX];
    size_t count;
    uint64_t bytes;
};

static void add_held_file(struct held_files *h, int fd_dir, const char *name)
{
    struct stat st;
    if (!is_pid(name) || fstatat(fd_dir, name, &st, 0) != 0 || !S_ISREG(st.st_mode) || st.st_nlink != 0 ||
        st.st_dev != h->dev)
        return;
    for (size_t i = 0; i < h->count; i++)
        if (h->seen[i] == st.st_ino)
            return;
    if (h->count < HELD_FILES_MAX)
        h->seen[h->count++] = st.st_ino;
    h->bytes += (uint64_t)st.st_blocks * 512;
}

static void add_held_files(struct held_files *h, int proc_fd, const char *pid)
{
    char path[300];
    snprintf(path, sizeof path, "%.20s/fd", pid);
    int fd = openat(proc_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    for (struct dirent *e; d && (e = readdir(d));)
        add_held_file(h, dirfd(d), e->d_name);
    if (d)
        closedir(d);
    else if (fd >= 0)
        close(fd);
}

uint64_t sampler_disk_bytes(int proc_fd, int work_fd, const char **why_r)
{
    struct stat st;
    struct held_files h = {0};
    uint64_t bytes = untrusted_dir_usage(work_fd, why_r);
    DIR *d = bytes != UINT64_MAX && fstat(work_fd, &st) == 0 ? open_dir_copy(proc_fd) : NULL;
    h.dev = d ? st.st_dev : 0;
    for (struct dirent *e; d && (e = readdir(d));)
        if (is_pid(e->d_name))
            add_held_files(&h, proc_fd, e->d_name);
    if (d)
        closedir(d);
    return bytes == UINT64_MAX ? bytes : bytes + h.bytes;
}
