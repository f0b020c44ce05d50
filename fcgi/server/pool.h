/* The master of millrace-api: binds the sockets and keeps the configured number of workers running
 * (service/supervisor.h). It serves no request and holds no connection to MariaDB or Redis.
 *
 *   SIGTERM, SIGINT  graceful stop: removes the sockets' names; the workers serve the backlog and exit.
 *                    Workers that are still alive after api.grace_s are killed
 *   SIGHUP           reads the settings again and starts new workers; the old ones exit after their
 *                    current request. If the program's file was replaced, the master becomes the new program
 *                    (service/reexec.h), unless that one cannot start or rejects the settings: then nothing
 * changes SIGUSR1          reopens the logs SIGUSR2          logs the state of the master and of each worker
 *
 * Rolling restart: start a second master. It renames its sockets over those of the first, so that no
 * connection is refused (service/unix_listener.h). Then stop the first master, which serves its backlog to
 * the end. Workers of a master that was killed also serve the backlog and then exit. */
#pragma once

#include "base/config.h"

/* Returns the exit status. `config` was read from `path`; SIGHUP reads that file again. */
int pool_run(void *ctx, const char *path, struct config *config);
