#define _GNU_SOURCE
#include "runner/media.h"

#include <dlfcn.h>
#include <grp.h>
#include <magic.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/seccomp.h"

enum { BYTES_MAX = 64 * 1024, TYPE_MAX = 128 };

struct runner_media {
    pid_t pid;
    int fd;
    char type[TYPE_MAX];
};

struct libmagic {
    magic_t cookie;
    const char *(*buffer)(magic_t, const void *, size_t);
};

static bool read_fully(int fd, void *to, size_t size)
{
    for (ssize_t n; size; size -= (size_t)n, to = (char *)to + n)
        if ((n = read(fd, to, size)) <= 0)
            return false;
    return true;
}

static bool write_fully(int fd, const void *from, size_t size)
{
    for (ssize_t n; size; size -= (size_t)n, from = (const char *)from + n)
        if ((n = write(fd, from, size)) <= 0)
            return false;
    return true;
}

static bool load_libmagic(struct libmagic *m)
{
    void *lib = dlopen("libmagic.so.1", RTLD_NOW);
    if (!lib)
        return false;
    magic_t (*open_cookie)(int) = (magic_t(*)(int))dlsym(lib, "magic_open");
    int (*load_database)(magic_t, const char *) = (int (*)(magic_t, const char *))dlsym(lib, "magic_load");
    m->buffer = (const char *(*)(magic_t, const void *, size_t))dlsym(lib, "magic_buffer");
    if (!open_cookie || !load_database || !m->buffer)
        return false;
    m->cookie = open_cookie(MAGIC_MIME_TYPE | MAGIC_NO_CHECK_COMPRESS | MAGIC_NO_CHECK_TAR);
    return m->cookie && load_database(m->cookie, NULL) == 0;
}

/* The child: reads a size (uint32_t) and that many bytes, writes TYPE_MAX bytes, until the other end closes.
 * It closes all other descriptors first. */
static void media_child_main(int fd, uid_t uid)
{
    static char bytes[BYTES_MAX];
    struct libmagic m;
    uint32_t size;
    bool confined =
        load_libmagic(&m) &&
        (!uid || (setgroups(0, NULL) == 0 && setresgid(uid, uid, uid) == 0 && setresuid(uid, uid, uid) == 0));
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const struct rlimit cpu = {60, 60};
    confined = confined && setrlimit(RLIMIT_CPU, &cpu) == 0 && runner_seccomp_compute_only();
    while (confined && read_fully(fd, &size, sizeof size) && size <= sizeof bytes &&
           read_fully(fd, bytes, size)) {
        char type[TYPE_MAX] = "";
        const char *found = m.buffer(m.cookie, bytes, size);
        if (found)
            memcpy(type, found, strnlen(found, sizeof type - 1));
        if (!write_fully(fd, type, sizeof type))
            break;
    }
    _exit(0);
}

struct runner_media *runner_media_start(uid_t uid)
{
    int p[2];
    struct runner_media *media = calloc(1, sizeof *media);
    if (!media || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p) != 0) {
        free(media);
        return NULL;
    }
    media->pid = fork();
    if (media->pid == 0) {
        dup2(p[1], 0);
        close_range(1, ~0U, 0);
        media_child_main(0, uid);
    }
    close(p[1]);
    media->fd = p[0];
    return media;
}

/* True for "type/subtype" of plain characters. The text comes from a process that hostile bytes may have
 * taken over. */
static bool is_type(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-_/");
    return n > 0 && s[n] == '\0' && strchr(s, '/');
}

const char *runner_media_type(struct runner_media *media, const void *bytes, size_t size)
{
    uint32_t n = size < BYTES_MAX ? (uint32_t)size : BYTES_MAX;
    if (!media || !write_fully(media->fd, &n, sizeof n) || !write_fully(media->fd, bytes, n) ||
        !read_fully(media->fd, media->type, TYPE_MAX))
        return NULL;
    media->type[TYPE_MAX - 1] = '\0';
    return is_type(media->type) ? media->type : NULL;
}

void runner_media_stop(struct runner_media *media)
{
    if (!media)
        return;
    close(media->fd);
    if (media->pid > 0) {
        kill(media->pid, SIGKILL);
        waitpid(media->pid, NULL, 0);
    }
    free(media);
}
