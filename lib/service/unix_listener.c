#include "service/unix_listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"

/* The process id keeps two starting processes from using the same temporary name. */
static bool temporary_address(const char *path, struct sockaddr_un *address_r)
{
    *address_r = (struct sockaddr_un){.sun_family = AF_UNIX};
    int n = snprintf(address_r->sun_path, sizeof address_r->sun_path, "%s.%d", path, (int)getpid());
    if (n < 0 || (size_t)n >= sizeof address_r->sun_path) {
        errno = ENAMETOOLONG;
        return false;
    }
    return true;
}

static bool bind_and_rename(struct unix_listener *l, const struct sockaddr_un *address, mode_t mode,
                            int backlog)
{
    struct stat s;
    const char *temporary = address->sun_path;
    unlink(temporary); /* left by a process that had the same id and died here */
    if (bind(l->fd, (const struct sockaddr *)address, sizeof *address) != 0)
        return false;
    if (chmod(temporary, mode) != 0 || listen(l->fd, backlog) != 0 || stat(temporary, &s) != 0 ||
        rename(temporary, l->path) != 0) {
        int error = errno;
        unlink(temporary);
        errno = error;
        return false;
    }
    l->dev = s.st_dev;
    l->ino = s.st_ino;
    return true;
}

/* --- sockets that are open already --- */

enum { FIRST_ACTIVATED_FD = 3, PASSED_MAX = 4096 };

/* The process, and a line for each socket: FD=PATH if the process owns the name, FD@PATH if systemd does. */
static const char passed_variable[] = "MILLRACE_LISTENERS";

/* One that was taken before is closed on exec. */
static bool is_free_listener(int fd)
{
    int listens = 0, flags = fcntl(fd, F_GETFD);
    socklen_t size = sizeof listens;
    return flags >= 0 && !(flags & FD_CLOEXEC) &&
           getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens;
}

static int find_activated(const char *path)
{
    const char *pid = getenv("LISTEN_PID"), *n = getenv("LISTEN_FDS");
    if (!pid || !n || strtol(pid, NULL, 10) != (long)getpid())
        return -1;
    for (int fd = FIRST_ACTIVATED_FD; fd < FIRST_ACTIVATED_FD + (int)strtol(n, NULL, 10); fd++) {
        struct sockaddr_un address = {0};
        socklen_t size = sizeof address - 1;
        if (is_free_listener(fd) && getsockname(fd, (struct sockaddr *)&address, &size) == 0 &&
            address.sun_family == AF_UNIX && strcmp(address.sun_path, path) == 0)
            return fd;
    }
    return -1;
}

static int find_passed(const char *path, bool *is_ours_r)
{
    const char *at = getenv(passed_variable);
    size_t length = strlen(path);
    if (!at || strtol(at, NULL, 10) != (long)getpid())
        return -1;
    while ((at = strchr(at, '\n'))) {
        char *end;
        int fd = (int)strtol(++at, &end, 10);
        *is_ours_r = *end == '=';
        if (*end && strncmp(end + 1, path, length) == 0 && end[1 + length] == '\n' && is_free_listener(fd))
            return fd;
    }
    return -1;
}

static bool take(struct unix_listener *l, int fd, bool is_ours, int backlog)
{
    struct stat s;
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0 ||
        listen(fd, backlog) != 0)
        return false;
    if (is_ours && stat(l->path, &s) == 0) {
        l->dev = s.st_dev;
        l->ino = s.st_ino;
    }
    l->fd = fd;
    return true;
}

static bool take_open_socket(struct unix_listener *l, int backlog)
{
    bool is_ours = false;
    int fd = find_passed(l->path, &is_ours);
    if (fd >= 0)
        return take(l, fd, is_ours, backlog);
    fd = find_activated(l->path);
    return fd >= 0 && take(l, fd, false, backlog);
}

/* The descriptors are copies, which are not closed on exec. */
bool unix_listener_pass(const struct unix_listener *listeners, size_t n)
{
    char text[PASSED_MAX];
    size_t size = (size_t)snprintf(text, sizeof text, "%d\n", (int)getpid());
    bool ok = true;
    for (size_t i = 0; i < n && ok; i++) {
        if (!listeners[i].path)
            continue;
        int fd = dup(listeners[i].fd);
        int more = snprintf(text + size, sizeof text - size, "%d%c%s\n", fd,
                            unix_listener_is_kept(&listeners[i]) ? '@' : '=', listeners[i].path);
        ok = fd >= 0 && more > 0 && size + (size_t)more < sizeof text;
        size += ok ? (size_t)more : 0;
        if (!ok && fd >= 0)
            close(fd);
    }
    text[size] = '\0';
    ok = setenv(passed_variable, text, 1) == 0 && ok;
    if (!ok) {
        log_error("listener.pass_failed", "message=\"%s\"", strerror(errno));
        unix_listener_unpass();
    }
    return ok;
}

void unix_listener_unpass(void)
{
    const char *at = getenv(passed_variable);
    while (at && (at = strchr(at, '\n')) && at[1])
        close((int)strtol(++at, NULL, 10));
    unsetenv(passed_variable);
}

bool unix_listener_is_kept(const struct unix_listener *listener)
{
    return listener->path && listener->ino == 0;
}

bool unix_listener_open(struct unix_listener *listener, const char *path, mode_t mode, int backlog)
{
    struct sockaddr_un address;
    *listener = (struct unix_listener){.path = path, .fd = -1};
    if (take_open_socket(listener, backlog))
        return true;
    bool ok = temporary_address(path, &address) &&
              (listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) >= 0 &&
              bind_and_rename(listener, &address, mode, backlog);
    if (ok)
        return true;
    log_error("listener.open_failed", "socket=%s message=\"%s\"", path, strerror(errno));
    if (listener->fd >= 0)
        close(listener->fd);
    *listener = (struct unix_listener){.fd = -1};
    return false;
}

void unix_listener_unlink(const struct unix_listener *listener)
{
    struct stat s;
    if (listener->path && stat(listener->path, &s) == 0 && s.st_dev == listener->dev &&
        s.st_ino == listener->ino)
        unlink(listener->path);
}
