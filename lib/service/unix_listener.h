/* A listening Unix socket that can be replaced without refusing a connection: the socket is bound to a
 * temporary name in the same directory and then renamed over the path. A client finds either the old socket
 * or the new one. A process that stops removes the path only if the path still names its own socket. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct unix_listener {
    const char *path;
    /* non-blocking, close-on-exec; owned by the caller */
    int fd;
    /* identity of the bound socket */
    dev_t dev;
    ino_t ino;
};

/* Opens a stream socket at `path`, which must outlive the listener. `mode` is the socket file's mode, set
 * before the rename. The kernel limits `backlog` to net.core.somaxconn. False on failure (logged): then
 * nothing is left open, and a socket that was at `path` before is still there. */
bool unix_listener_open(struct unix_listener *listener, const char *path, mode_t mode, int backlog)
    __attribute__((warn_unused_result));

/* Removes the socket's name, so that no new connection arrives; connections in the backlog can still be
 * accepted. Does nothing if a successor has replaced the socket, or if `listener` is all zero. */
void unix_listener_unlink(const struct unix_listener *listener);
