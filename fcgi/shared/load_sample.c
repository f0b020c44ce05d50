#include "fcgi/shared/load_sample.h"

#include <string.h>

bool load_sample_get(const struct load_sample *s, int64_t now_ms, struct load_numbers *numbers_r,
                     int64_t *age_ms_r)
{
    unsigned before = atomic_load(&s->version);
    int64_t taken_ms = atomic_load(&s->taken_ms);
    if (taken_ms == 0 || before % 2 != 0 || now_ms - taken_ms >= LOAD_SAMPLE_OLD_MS)
        return false;
    memcpy(numbers_r, &s->numbers, sizeof *numbers_r);
    atomic_thread_fence(memory_order_acquire);
    *age_ms_r = now_ms > taken_ms ? now_ms - taken_ms : 0;
    return atomic_load(&s->version) == before;
}

bool load_sample_begin(struct load_sample *s, int64_t now_ms)
{
    int64_t taken_ms = atomic_load(&s->taken_ms);
    int_least64_t begun_ms = atomic_load(&s->begun_ms);
    if ((taken_ms != 0 && now_ms - taken_ms < LOAD_SAMPLE_EVERY_MS) ||
        (begun_ms != 0 && now_ms - begun_ms < LOAD_SAMPLE_LOST_MS))
        return false;
    return atomic_compare_exchange_strong(&s->begun_ms, &begun_ms, now_ms);
}

void load_sample_put(struct load_sample *s, int64_t begun_ms, int64_t now_ms,
                     const struct load_numbers *numbers)
{
    if (atomic_load(&s->begun_ms) != begun_ms)
        return;
    unsigned version = atomic_load(&s->version) | 1U; /* a worker may have died while it wrote */
    atomic_store(&s->version, version);
    memcpy(&s->numbers, numbers, sizeof s->numbers);
    atomic_store(&s->taken_ms, now_ms);
    atomic_store(&s->version, version + 1);
    load_sample_give_up(s, begun_ms);
}

void load_sample_give_up(struct load_sample *s, int64_t begun_ms)
{
    int_least64_t mine = begun_ms;
    (void)atomic_compare_exchange_strong(&s->begun_ms, &mine, 0);
}
