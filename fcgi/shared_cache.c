#include "fcgi/shared_cache.h"

#include <sodium.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

enum { WORD = sizeof(uint64_t), WORDS_MAX = SHARED_CACHE_BYTES_MAX / WORD };

struct shared_cache {
    unsigned char secret[crypto_shorthash_KEYBYTES];
    unsigned entries;
    size_t key_size, value_size;
    size_t words; /* of an entry: the checksum, then key and value */
    _Atomic uint64_t table[];
};

static size_t words_of(size_t bytes)
{
    return 1 + (bytes + WORD - 1) / WORD;
}

size_t shared_cache_size(unsigned entries, size_t key_size, size_t value_size)
{
    return sizeof(struct shared_cache) + entries * words_of(key_size + value_size) * WORD;
}

struct shared_cache *shared_cache_init(void *memory, unsigned entries, size_t key_size, size_t value_size)
{
    struct shared_cache *c = memory;
    randombytes_buf(c->secret, sizeof c->secret);
    c->entries = entries;
    c->key_size = key_size;
    c->value_size = value_size;
    c->words = words_of(key_size + value_size);
    return c;
}

static uint64_t checksum(const struct shared_cache *c, const void *bytes, size_t size)
{
    uint64_t sum;
    crypto_shorthash((unsigned char *)&sum, bytes, size, c->secret);
    return sum;
}

static const _Atomic uint64_t *entry_of(const struct shared_cache *c, const void *key)
{
    return c->table + checksum(c, key, c->key_size) % c->entries * c->words;
}

bool shared_cache_get(const struct shared_cache *c, const void *key, void *value_r)
{
    const _Atomic uint64_t *entry = entry_of(c, key);
    uint64_t copy[1 + WORDS_MAX] = {0};
    const char *bytes = (const char *)(copy + 1);
    for (size_t i = 0; i < c->words; i++)
        copy[i] = atomic_load_explicit(&entry[i], memory_order_relaxed);
    if (memcmp(bytes, key, c->key_size) != 0 || copy[0] != checksum(c, bytes, (c->words - 1) * WORD))
        return false;
    memcpy(value_r, bytes + c->key_size, c->value_size);
    return true;
}

void shared_cache_put(struct shared_cache *c, const void *key, const void *value)
{
    _Atomic uint64_t *entry = (_Atomic uint64_t *)entry_of(c, key);
    uint64_t copy[1 + WORDS_MAX] = {0};
    char *bytes = (char *)(copy + 1);
    memcpy(bytes, key, c->key_size);
    memcpy(bytes + c->key_size, value, c->value_size);
    copy[0] = checksum(c, bytes, (c->words - 1) * WORD);
    for (size_t i = 0; i < c->words; i++)
        atomic_store_explicit(&entry[i], copy[i], memory_order_relaxed);
}
