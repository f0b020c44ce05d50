/* A worker process: accepts connections from the shared listener and serves them one at a time.
 *
 * libfcgi does not handle EINTR: a signal would truncate a body. Therefore signals stay blocked for the whole
 * life of a worker and are read from a descriptor that is polled together with the listener, and the worker
 * accepts connections itself and passes them to libfcgi.
 *
 *   SIGTERM  serves the connections in the backlog, then exits; as SIGQUIT if worker_leave_backlog was called
 *   SIGQUIT  exits after the current request, or after the one whose connection woke it
 *   SIGUSR1  reopens the log
 *   SIGUSR2  logs the state, when no request is being served */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct app;
struct worker;

/* The listener's backlog, unless the pool is overloaded (fcgi/shared/admission.h). */
enum { WORKER_BACKLOG = 1024 };

/* Creates a worker and blocks its signals. `listen_fd` is non-blocking and shared with the other workers.
 * NULL if a system call fails (logged). */
struct worker *worker_new(void *ctx, int listen_fd);
/* The socket is systemd's: connections keep arriving while the pool stops, so that the backlog is never
 * empty, and they wait there for the next pool. SIGTERM leaves them. */
void worker_leave_backlog(struct worker *w);
/* Waits for the next connection and returns its blocking descriptor, which the caller closes. -1: the worker
 * must exit. */
int worker_accept(struct worker *w);
/* Serves until a signal ends the worker or `recycle` requests were served (0: without limit). */
void worker_run(struct worker *w, struct app *app, int64_t recycle);
