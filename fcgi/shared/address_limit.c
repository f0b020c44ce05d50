#include "fcgi/shared/address_limit.h"

#include <string.h>

void address_limit_init(struct address_limit *limit)
{
    randombytes_buf(limit->secret, sizeof limit->secret);
}

static _Atomic uint64_t *slot_of(struct address_limit *limit, const char *address)
{
    uint64_t hash;
    crypto_shorthash((unsigned char *)&hash, (const unsigned char *)address, strlen(address), limit->secret);
    return &limit->slots[hash % ADDRESS_LIMIT_SLOTS];
}

static uint64_t second_of(int64_t now_ms)
{
    return (uint64_t)(now_ms / 1000) << 32;
}

static bool is_of_second(uint64_t slot, uint64_t second)
{
    return slot >> 32 == second >> 32;
}

bool address_limit_take(struct address_limit *limit, const char *address, int64_t now_ms, uint32_t per_second)
{
    _Atomic uint64_t *slot = slot_of(limit, address);
    uint64_t second = second_of(now_ms);
    uint64_t seen = atomic_load(slot), next;
    do {
        next = (is_of_second(seen, second) ? seen : second) + 1;
        if ((uint32_t)next > per_second)
            return false;
    } while (!atomic_compare_exchange_weak(slot, &seen, next));
    return true;
}

void address_limit_give_back(struct address_limit *limit, const char *address, int64_t now_ms)
{
    _Atomic uint64_t *slot = slot_of(limit, address);
    uint64_t second = second_of(now_ms), seen = atomic_load(slot);
    while (is_of_second(seen, second) && (uint32_t)seen > 0 &&
           !atomic_compare_exchange_weak(slot, &seen, seen - 1)) {
    }
}
