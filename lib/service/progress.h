/* The progress of one thread, for another thread that watches it.
 *
 * The watched thread says what it begins (progress_begin) and that it waits for work (progress_idle); both
 * count as a step. A thread that is busy and takes no step for long is stalled: stall_observe decides that.
 * Reading and writing need no lock. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/ids.h"

enum { PROGRESS_RUN_WORDS = (sizeof(id) + 7) / 8 };

struct progress {
    atomic_uint_fast64_t steps;
    /* A text that lives as long as the process; NULL: the thread waits for work. */
    _Atomic(const char *) doing;
    _Atomic(uint64_t) run[PROGRESS_RUN_WORDS];
};

/* `run` may be NULL: what begins is not for one run. */
void progress_begin(struct progress *p, const char *doing, const id *run);
/* Reports progress of the current work. */
void progress_step(struct progress *p);
void progress_idle(struct progress *p);

struct progress_seen {
    uint64_t steps;
    /* NULL: idle */
    const char *doing;
    /* Not set: none. Only for logs: a thread that is not stalled may be writing it. */
    id run;
};
struct progress_seen progress_look(struct progress *p);

/* Zeroed at first. */
struct stall {
    uint64_t steps;
    /* How long no step was seen. */
    int64_t stalled_ms;
    bool reported;
};

enum stall_event { STALL_NONE, STALL_BEGAN, STALL_ENDED, STALL_DEAD };

/* The limits of a watch, in milliseconds. */
struct stall_limits {
    /* Longest time that one look may count: a process that was stopped as a whole (SIGSTOP, suspend) has not
     * stalled. */
    int64_t look_max;
    int64_t report, dead;
};

/* One look, elapsed_ms after the one before. STALL_BEGAN and STALL_ENDED come once for each stall,
 * STALL_DEAD with each look from `dead` on. *stalled_ms_r is the duration of the stall so far. */
enum stall_event stall_observe(struct stall *s, const struct stall_limits *limits,
                               const struct progress_seen *seen, int64_t elapsed_ms, int64_t *stalled_ms_r);
