/* The numbers of queued, running and waiting runs, as a worker of this host has counted them last: counting
 * takes seconds while millions are queued. Lives in the memory that the workers share; without locks. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "store/metrics.h"

enum {
    LOAD_SAMPLE_WORKSPACES = 100,
    /* between two counts */
    LOAD_SAMPLE_EVERY_MS = 10000,
    /* after which a worker that counts is taken for dead */
    LOAD_SAMPLE_LOST_MS = 60000,
    /* an older count is not used: nobody has asked for long, and the queue may be another one */
    LOAD_SAMPLE_OLD_MS = 300000
};

struct load_numbers {
    struct store_load load;
    /* The workspaces with the most queued and running runs. */
    size_t workspaces_n;
    struct {
        char id[36 + 1];
        int64_t queued, running;
    } workspaces[LOAD_SAMPLE_WORKSPACES];
};

/* All zero: there is none. */
struct load_sample {
    /* odd while it is written */
    atomic_uint version;
    /* Boot time: of the last count; of the beginning of the one that is under way or was given up, 0: none
     * is. */
    atomic_int_least64_t taken_ms, begun_ms;
    struct load_numbers numbers;
};

/* False if there is none, if it is too old, or if it is being written. *age_ms_r: its age. */
bool load_sample_get(const struct load_sample *s, int64_t now_ms, struct load_numbers *numbers_r,
                     int64_t *age_ms_r);
/* True if the numbers are due to be counted and nobody else counts: the caller does so, and calls
 * load_sample_put or load_sample_give_up with the same time. */
bool load_sample_begin(struct load_sample *s, int64_t now_ms);
/* `now_ms`: when the count has ended. Ignored if another worker has begun since. */
void load_sample_put(struct load_sample *s, int64_t begun_ms, int64_t now_ms,
                     const struct load_numbers *numbers);
void load_sample_give_up(struct load_sample *s, int64_t begun_ms);
