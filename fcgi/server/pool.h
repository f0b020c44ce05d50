/* The master: binds the sockets, keeps N workers alive, and does what signals say. It serves nothing itself
 * and holds no connection.
 *
 *   SIGTERM, SIGINT  graceful stop: no new connections, what waits is served, then all leave
 *   SIGHUP           settings read again, new workers, the old ones leave after their request
 *   SIGUSR1          logs opened anew
 *
 * A rolling restart: start a second master; it binds beside the socket and renames over it, so that no
 * connection is refused; then stop the first, which serves its backlog to the end. Workers of a master that
 * was killed serve what waits and leave. */
#pragma once

#include "base/config.h"

/* Returns the exit status. `config` was read from `path`, which SIGHUP reads again. */
int pool_run(void *ctx, const char *path, struct config *config);
