/* A listening Unix socket that can be replaced without refusing a connection: the socket is bound to a
 * temporary name in the same directory and then renamed over the path. A client finds either the old socket
 * or the new one. A process that stops removes the path only if the path still names its own socket.
 *
 * A socket that is open already is used instead: that of a socket unit of systemd (sd_listen_fds(3)), whose
 * name stays when the process stops, so that connections wait in its backlog for the next one; or one that
 * this process had before it replaced its program (unix_listener_pass). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct unix_listener {
    const char *path;
    /* non-blocking, close-on-exec; owned by the caller */
    int fd;
    /* identity of the bound socket; 0 if the socket is systemd's */
    dev_t dev;
    ino_t ino;
};

/* Opens a stream socket at `path`, which must outlive the listener. `mode` is the socket file's mode, set
 * before the rename. The kernel limits `backlog` to net.core.somaxconn. False on failure (logged): then
 * nothing is left open, and a socket that was at `path` before is still there. */
bool unix_listener_open(struct unix_listener *listener, const char *path, mode_t mode, int backlog)
    __attribute__((warn_unused_result));

/* Lets the next program of this process (service/reexec.h) find the sockets. They stay open here as well.
 * False if there are no descriptors or no memory (logged); then nothing is passed. */
bool unix_listener_pass(const struct unix_listener *listeners, size_t n) __attribute__((warn_unused_result));
/* Undoes unix_listener_pass, if the next program could not be started. */
void unix_listener_unpass(void);

/* True if the socket is systemd's: it stays when this process ends, and so do the connections in its backlog.
 */
bool unix_listener_is_kept(const struct unix_listener *listener);

/* Removes the socket's name, so that no new connection arrives; connections in the backlog can still be
 * accepted. Does nothing if a successor has replaced the socket, if it is systemd's, or if
 * `listener` is all zero. */
void unix_listener_unlink(const struct unix_listener *listener);
