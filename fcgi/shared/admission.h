/* What a pool does when more comes than it can bear. A queue that does not become shorter makes everybody
 * late and nobody faster: where all have waited longer than `queue_ms` for half a second, and behind more
 * others than the short backlog holds (few that wait for long are a slow disk's, and to refuse them would
 * make nothing shorter), the pool is overloaded for the next seconds. Then the listener's backlog is a few
 * times as long as the pool is wide: nginx finds it full and refuses the others itself, at once, and who is
 * accepted waits for a few others; of those that were in the longer one already, whoever has waited for a
 * fifth of `queue_ms` is refused. After that it is tried with the long backlog again, at first with little
 * patience: a fifth of `queue_ms`, for half of it. A burst, which is over within half a second, is served
 * whole.
 *
 * (Controlled delay, after Nichols and Jacobson, "Controlling Queue Delay", 2012; but it is the door that
 * narrows, as a refusal by the pool costs a good part of what serving costs.) */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    ADMISSION_BACKLOG = 4, /* places of the short backlog, a worker: keep it busy when they come unevenly */
    ADMISSION_STARTS_KEPT = 1024,
    ADMISSION_PATIENCE_MS = 500,
    ADMISSION_OVERLOAD_MS = 10000,
    /* whoever asked has given up, or soon will: a late acceptance would only surprise */
    ADMISSION_AGE_MAX_MS = 5000,
};

/* Of all workers of a pool, in the mapping; zero bytes are its first state. Milliseconds of clock_boot_ms. */
struct admission {
    atomic_int_fast64_t last_request_ms;  /* when the last one was judged */
    atomic_int_fast64_t delayed_since_ms; /* since when all have been late; 0: the last one was not */
    atomic_int_fast64_t overload_ends_ms; /* 0: there was none */
    atomic_uint_fast64_t started;         /* so many were taken up; the last ones at: */
    atomic_int_fast64_t started_ms[ADMISSION_STARTS_KEPT];
};

struct admission_limits {
    int64_t queue_ms;
    unsigned workers; /* up to 64 */
};

/* A worker has taken up a request: all are counted, whether they are judged or not. */
void admission_count_start(struct admission *a, int64_t now_ms);
/* Whether a request that has waited for `waited_ms` until now is to be served. Workers that call at the same
 * moment may disagree about one request. */
bool admission_admits(struct admission *a, int64_t now_ms, int64_t waited_ms, struct admission_limits limits);
/* How much longer the backlog is to be short; 0: it is not. */
int64_t admission_overload_ms(const struct admission *a, int64_t now_ms);
