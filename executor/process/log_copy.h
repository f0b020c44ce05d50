/* Copies what this process logs to Redis (redis/log_stream.h), where operators read along on all hosts. A
 * thread sends the lines of about 250 ms together, so that logging never waits for Redis. At most 256 KiB
 * wait to be sent; beyond that lines are left out of the copy, and executor.log_copy_dropped says how many.
 * What was logged in the last 250 ms before a kill is in the log file only. */
#pragma once

#include "base/config.h"

struct log_copy;

/* Starts the copy. NULL: the setting executor.live_log_mib is 0, or the thread cannot be started (logged). */
struct log_copy *log_copy_start(void *ctx, const struct config *config);
/* Sends what is left, and ends the copy. NULL: does nothing. */
void log_copy_end(struct log_copy *c);

/* The same for the master, which forks and therefore has no threads: each of its few lines is sent at once,
 * which takes at most 50 ms, and nothing for 1 s after a failure. */
void log_copy_start_master(void *ctx, const struct config *config);
