/* The state of a process in its log, on request (SIGUSR2).
 *
 * Each module that has something to show adds a writer, which logs one or a few lines of key=value pairs with
 * state_log. A dump begins with `state.process` and ends with `state.end`. The lines are written at any
 * log.level. Handle the signal outside the signal handler (libevent, signalfd, sigwait or a flag). Not
 * thread-safe: a writer shows what its thread may read. */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/log.h"

struct state_dump;

struct state_dump *state_dump_new(void *ctx);
/* Writers are called in the order in which they were added. */
void state_dump_add(struct state_dump *dump, void (*write)(void *arg), void *arg);
void state_dump_write(struct state_dump *dump);

/* One line of a dump: state_log("state.cache", "cache=programs entries=%zu", n). */
#define state_log(event, ...) log_requested(event, __VA_ARGS__)
