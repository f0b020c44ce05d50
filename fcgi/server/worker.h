/* A worker process: takes connections off the shared listener and serves them one at a time.
 *
 * libfcgi knows nothing of EINTR: a signal would cut a body short. So signals stay blocked for the whole life
 * of a worker and are read from a descriptor, together with the listener; and connections are accepted here
 * and handed to libfcgi. SIGTERM: serve what waits in the backlog, then leave. SIGQUIT: leave after the
 * request in hand. SIGUSR1: open the log anew. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct app;
struct worker;

enum { WORKER_BACKLOG = 1024 }; /* of the listener, unless the pool is overloaded (admission.h) */

/* `listen_fd` is non-blocking and shared with others. Blocks the signals. NULL where the kernel refuses
 * (logged). */
struct worker *worker_new(void *ctx, int listen_fd);
/* The next connection (a blocking descriptor, the caller's); -1: it is time to leave. */
int worker_accept(struct worker *w);
/* Serves until told to leave, or `recycle` requests were served (0: no end). */
void worker_run(struct worker *w, struct app *app, int64_t recycle);
