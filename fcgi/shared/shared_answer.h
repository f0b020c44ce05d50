/* An answer that takes long to read and is the same for everyone who may read it, such as the load of all
 * workspaces. The workers of a host use it again for fifty times as long as its reading took, and for 5 s at
 * most. Those who ask while it is read anew read it themselves. What is read in an instant, as on a small
 * installation, is always new. Lives in the memory that the workers share;
 * without locks. */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
    /* A larger answer is not kept. */
    SHARED_ANSWER_BYTES = 32 * 1024,
    SHARED_ANSWER_TIMES = 50,
    SHARED_ANSWER_MAX_MS = 5000,
    /* A faster reading is not kept. */
    SHARED_ANSWER_SLOW_MS = 5,
    /* after which a worker that writes is taken for dead */
    SHARED_ANSWER_LOST_MS = 1000
};

/* All zero: there is none. Times are boot times in milliseconds. */
struct shared_answer {
    /* odd while it is written */
    atomic_uint version;
    /* since when a worker writes; 0: none does */
    atomic_int_least64_t writing_ms;
    /* when its reading began, and until when it may be used */
    atomic_int_least64_t began_ms, until_ms;
    /* when it was dropped last */
    atomic_int_least64_t dropped_ms;
    /* what was asked for */
    int64_t key;
    size_t size;
    char bytes[SHARED_ANSWER_BYTES];
};

/* The answer for that key, on ctx, NUL-terminated; NULL: there is none. */
char *shared_answer_get(const struct shared_answer *a, void *ctx, int64_t key, int64_t now_ms,
                        size_t *size_r);
/* Keeps an answer whose reading took from `began_ms` to `now_ms`. */
void shared_answer_put(struct shared_answer *a, int64_t key, int64_t began_ms, int64_t now_ms,
                       const char *bytes, size_t size);
/* What it tells was changed: it is not used any more, nor is one whose reading has begun. */
void shared_answer_drop(struct shared_answer *a, int64_t now_ms);
