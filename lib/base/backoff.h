/* Delays between repeated attempts: exponential back-off with jitter, so that clients that failed together do
 * not retry together. Thread-safe. */
#pragma once

#include <stdint.h>

/* The delay in ms after the failed attempt number `attempt` (from 1): `first_ms`, doubled with each further
 * attempt, varied by up to ±20 % at random, and at most `most_ms`. The random numbers come from the kernel
 * (libsodium), so that processes forked from one parent draw different ones. */
int64_t backoff_ms(int64_t first_ms, int attempt, int64_t most_ms);

/* The same for a given random number in [0, 1): 0 is -20 %, 0.5 the exact delay. */
int64_t backoff_at_ms(int64_t first_ms, int attempt, int64_t most_ms, double random);
