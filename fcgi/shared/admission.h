/* Overload control of a pool of workers.
 *
 * A queue that does not shrink delays every request and speeds up none. The pool is overloaded when, for
 * ADMISSION_PATIENCE_MS, every request has waited longer than `queue_ms` and behind more other requests than
 * the short backlog holds. (The second condition excludes a slow disk: few requests wait long then, and
 * rejecting them would not shorten a queue.)
 *
 * An overload lasts ADMISSION_OVERLOAD_MS. During that time the listen backlog is short, so that nginx finds
 * it full and rejects the excess at once. An accepted request then waits behind few others. Requests that
 * were already in the long backlog are rejected if they have waited longer than queue_ms / 5.
 *
 * Afterwards the long backlog is tried again. For another ADMISSION_OVERLOAD_MS (probation), waits longer
 * than queue_ms / 5 that last for queue_ms / 2 are the next overload. A burst that ends within
 * ADMISSION_PATIENCE_MS is served completely.
 *
 * The rule follows controlled delay (Nichols and Jacobson, "Controlling Queue Delay", 2012). It differs in
 * that the backlog is shortened: a rejection by the pool itself costs a good part of what serving costs. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    /* Length of the short backlog per worker: keeps a worker busy although requests arrive unevenly. */
    ADMISSION_BACKLOG = 4,
    ADMISSION_STARTS_KEPT = 1024,
    ADMISSION_PATIENCE_MS = 500,
    ADMISSION_OVERLOAD_MS = 10000,
    /* Older requests are always rejected: the client has given up or soon will, and accepting a run that late
     * would surprise it. */
    ADMISSION_AGE_MAX_MS = 5000,
};

/* Shared by all workers of a pool, in the shared mapping. Initial state: zero bytes. Times are milliseconds
 * of clock_boot_ms. */
struct admission {
    /* When the last request was judged. */
    atomic_int_fast64_t last_request_ms;
    /* Since when every request has waited too long; 0: the last one has not. */
    atomic_int_fast64_t delayed_since_ms;
    /* When the current or the last overload ends; 0: there was none. */
    atomic_int_fast64_t overload_ends_ms;
    /* Number of requests that workers have started, and the start times of the last ones (ring buffer). */
    atomic_uint_fast64_t started;
    atomic_int_fast64_t started_ms[ADMISSION_STARTS_KEPT];
};

struct admission_limits {
    int64_t queue_ms;
    /* At most 64. */
    unsigned workers;
};

/* Records that a worker has started a request. Counts every request, also those that are not judged. */
void admission_count_start(struct admission *a, int64_t now_ms);
/* True if a request that has waited for `waited_ms` until now is to be served. Workers that call it at the
 * same moment may judge one request differently. */
bool admission_admits(struct admission *a, int64_t now_ms, int64_t waited_ms, struct admission_limits limits);
/* Milliseconds for which the backlog must stay short; 0: the pool is not overloaded. */
int64_t admission_overload_ms(const struct admission *a, int64_t now_ms);
