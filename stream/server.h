/* The event daemon: accepts connections from nginx and holds event streams and waiters until they end or
 * the daemon stops.
 *
 *   SIGTERM, SIGINT  graceful stop: streams end with a reconnect delay, waiters are answered, then it exits
 *   SIGHUP           as SIGTERM, but the process continues with the program that is at its path then, and
 * with new settings. Connections wait in the backlog meanwhile. Nothing happens if that program or the
 * settings are invalid SIGUSR1          reopens the log SIGUSR2          logs the state
 *
 * Rolling restart: start a second daemon. It renames its socket over that of the first
 * (service/unix_listener.h). Then stop the first. */
#pragma once

#include "base/config.h"

/* Returns the exit status. */
int server_run(void *ctx, const char *config_path, const struct config *config);
