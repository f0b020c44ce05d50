#include "service/unix_listener.h"

#include <errno.h>
#include <stdio.h>
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

bool unix_listener_open(struct unix_listener *listener, const char *path, mode_t mode, int backlog)
{
    struct sockaddr_un address;
    *listener = (struct unix_listener){.path = path, .fd = -1};
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
