/* Workspaces (or whatever has an id) whose work failed: each rests for 1, 2, 4 … 60 s after failures in a
 * row, so that the others get their turn and the error is not repeated all the time. In memory, RESTS_MAX of
 * them at most: a further one takes the place of the one whose rest ends first. Not thread-safe. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ids.h"

enum { RESTS_MAX = 64, REST_FIRST_MS = 1000, REST_LONGEST_MS = 60000 };

/* Zero bytes at first. */
struct rests {
    struct rest {
        id id;
        unsigned failures;
        /* clock_boot_ms() */
        int64_t until_ms;
    } list[RESTS_MAX];
};

bool rests_has(const struct rests *r, const id *id, int64_t now_ms);
/* It failed: returns for how many ms it rests. */
int64_t rests_add(struct rests *r, const id *id, int64_t now_ms);
/* It succeeded: its next failure is its first. */
void rests_end(struct rests *r, const id *id);
