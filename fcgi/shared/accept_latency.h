/* How long accepted requests that start a run have taken of late, for the executors: they claim less while it
 * is above executor.accept_latency_ms (executor/db_thread/claim_pace.h). The median is used, so that a few
 * requests that wait for a locked account say nothing about the machine. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    /* A window ends after this time if it has ACCEPT_LATENCY_LEAST requests. */
    ACCEPT_LATENCY_WINDOW_MS = 250,
    /* A window that has fewer by then is dropped: accepting so little needs no priority. */
    ACCEPT_LATENCY_WINDOW_MAX_MS = 1000,
    ACCEPT_LATENCY_LEAST = 8,
    /* Four for each power of two, in microseconds. */
    ACCEPT_LATENCY_BUCKETS = 128,
};

/* Shared by all workers of a host, in the shared mapping. Initial state: zero bytes. Workers add without a
 * lock; a request that is counted while a window ends may count in either. Times are milliseconds of
 * clock_boot_ms. */
struct accept_latency {
    /* When the current window began; 0: none has. */
    atomic_int_fast64_t began_ms;
    atomic_uint_fast32_t n, buckets[ACCEPT_LATENCY_BUCKETS];
    /* Of the last window with enough requests, and when it ended. */
    atomic_int_fast64_t median_us, ended_ms;
};

/* Counts a request that took `us`. True: this call has ended a window, and the caller publishes *median_us_r.
 */
bool accept_latency_add(struct accept_latency *l, int64_t us, int64_t now_ms, int64_t *median_us_r);
/* The median of the last window, in microseconds; 0 if that ended more than a second ago. */
int64_t accept_latency_us(const struct accept_latency *l, int64_t now_ms);
