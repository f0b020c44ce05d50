/* Where claims come from: a thread that waits on the Redis list for the ids of new runs and gives them to the
 * database thread, which claims what is still there. With Redis away it asks the database thread to look by
 * itself, again and again; the loop asks it to, once a second, whatever Redis says. */
#pragma once

#include "executor/context/executor.h"

struct claimer;

/* Starts the thread; slots are those of executor.max_active. NULL where it cannot. */
struct claimer *claimer_start(void *ctx, struct executor *exec);
/* No more claims, from now on. NULL-safe, as is the next. */
void claimer_end(struct claimer *c);
/* The very last thing: waits for the thread. */
void claimer_join(struct claimer *c);
