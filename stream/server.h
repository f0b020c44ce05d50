/* The event daemon: listens where nginx finds it, and holds event streams and waiters until they end or it is
 * told to leave.
 *
 *   SIGTERM, SIGINT  graceful stop: streams end with a hint when to come again, waiters are answered, then it
 * leaves SIGUSR1          log opened anew
 *
 * A rolling restart: start a second one; it renames its socket over the first's; then stop the first. */
#pragma once

#include "base/config.h"

/* Returns the exit status. */
int server_run(void *ctx, const struct config *config);
