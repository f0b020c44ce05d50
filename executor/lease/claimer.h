/* Where claims come from. The claim thread waits on the Redis list for the ids of new runs and passes them to
 * the database thread, which claims those that are still queued. While Redis is unreachable, the claim thread
 * asks the database thread every 50 ms to scan MariaDB; the loop asks for a scan every second in any case. */
#pragma once

#include "executor/context/executor.h"

struct claimer;
struct claim_pace;

/* Adds the process's slots (executor.max_active) and starts the thread. NULL: it cannot be started. */
struct claimer *claimer_start(void *ctx, struct executor *exec);
/* A host of the API reports how long accepting takes: see claim_pace.h. NULL-safe. */
void claimer_note_latency(struct claimer *c, int64_t latency_us);
/* For the state dump. NULL-safe. */
const struct claim_pace *claimer_pace(const struct claimer *c);
/* No more claims from now on. NULL-safe, as is claimer_join. */
void claimer_end(struct claimer *c);
/* Waits for the thread; the last call. */
void claimer_join(struct claimer *c);
