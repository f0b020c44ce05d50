/* A step of a worker thread that takes several steps in turn, each of which fails by itself: an error ends
 * its step, and the later steps are taken all the same. A step that has failed rests, for 1 s after errors
 * that may pass (err_is_transient) and for 1, 2, 4 … 30 s after others, so that an error that persists costs
 * neither the processor nor the log. Its errors are logged with their number: each one that is not transient,
 * and of the transient ones the 8th, 16th, 32nd … in a row, so that a short interruption is not worth a line.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum {
    WORKER_STEP_PAUSE_MS = 1000,
    WORKER_STEP_PAUSE_MAX_MS = 30000,
    /* Transient errors in a row that are worth a line. */
    WORKER_STEP_TRANSIENT_MAX = 8,
};

/* Zero bytes at first, but for the names. */
struct worker_step {
    /* For the log; they live as long as the step. */
    const char *worker, *name;
    /* Errors since the last success. */
    unsigned failures;
    bool is_logged;
    /* It rests until then (clock_boot_ms). */
    int64_t rests_until_ms;
};

bool worker_step_is_due(const struct worker_step *s, int64_t now_ms);
/* Call it whenever the step was taken. */
void worker_step_end(struct worker_step *s, enum err e, int64_t now_ms);
