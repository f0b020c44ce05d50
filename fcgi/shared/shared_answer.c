#include "fcgi/shared/shared_answer.h"

#include <stdbool.h>
#include <string.h>
#include <talloc.h>

char *shared_answer_get(const struct shared_answer *a, void *ctx, int64_t key, int64_t now_ms, size_t *size_r)
{
    unsigned before = atomic_load(&a->version);
    size_t size = a->size;
    if (before % 2 != 0 || now_ms >= atomic_load(&a->until_ms) || a->key != key || size > sizeof a->bytes)
        return NULL;
    char *bytes = talloc_strndup(ctx, a->bytes, size);
    atomic_thread_fence(memory_order_acquire);
    if (atomic_load(&a->version) != before) {
        talloc_free(bytes);
        return NULL;
    }
    *size_r = size;
    return bytes;
}

/* One worker writes at a time; the answer of another one is not needed then. */
static bool begin_writing(struct shared_answer *a, int64_t now_ms)
{
    int_least64_t writing_ms = atomic_load(&a->writing_ms);
    return (writing_ms == 0 || now_ms - writing_ms >= SHARED_ANSWER_LOST_MS) &&
           atomic_compare_exchange_strong(&a->writing_ms, &writing_ms, now_ms);
}

void shared_answer_put(struct shared_answer *a, int64_t key, int64_t began_ms, int64_t now_ms,
                       const char *bytes, size_t size)
{
    int64_t took_ms = now_ms - began_ms, keep_ms = took_ms * SHARED_ANSWER_TIMES;
    if (took_ms < SHARED_ANSWER_SLOW_MS || size > sizeof a->bytes || began_ms < atomic_load(&a->began_ms) ||
        !begin_writing(a, now_ms))
        return;
    unsigned version = atomic_load(&a->version) | 1U; /* a worker may have died while it wrote */
    atomic_store(&a->version, version);
    atomic_thread_fence(memory_order_release); /* what follows is seen later than the odd version */
    atomic_store(&a->began_ms, began_ms);
    a->key = key;
    a->size = size;
    memcpy(a->bytes, bytes, size);
    atomic_store(&a->until_ms, now_ms + (keep_ms < SHARED_ANSWER_MAX_MS ? keep_ms : SHARED_ANSWER_MAX_MS));
    if (began_ms <= atomic_load(&a->dropped_ms))
        atomic_store(&a->until_ms, 0);
    atomic_store(&a->version, version + 1);
    int_least64_t own_ms = now_ms; /* unless another worker has taken this one for dead */
    atomic_compare_exchange_strong(&a->writing_ms, &own_ms, 0);
}

void shared_answer_drop(struct shared_answer *a, int64_t now_ms)
{
    atomic_store(&a->dropped_ms, now_ms);
    atomic_store(&a->until_ms, 0);
}
