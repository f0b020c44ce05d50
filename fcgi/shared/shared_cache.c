#include "fcgi/shared/shared_cache.h"

#include <sodium.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

enum { WORD = sizeof(uint64_t), WORDS_MAX = SHARED_CACHE_BYTES_MAX / WORD };

struct shared_cache {
    unsigned char secret[crypto_shorthash_KEYBYTES];
    unsigned entries;
    size_t key_size, value_size;
    /* Words per entry: the checksum, then key and value. */
    size_t words;
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

/* The first of the SHARED_CACHE_WAYS consecutive places in which the key may stand. */
static _Atomic uint64_t *set_of(const struct shared_cache *c, const void *key)
{
    uint64_t index = checksum(c, key, c->key_size) % (c->entries / SHARED_CACHE_WAYS);
    return (_Atomic uint64_t *)c->table + index * SHARED_CACHE_WAYS * c->words;
}

static bool entry_has_key(const struct shared_cache *c, const _Atomic uint64_t *entry, const void *key)
{
    const char *rest = key;
    if (atomic_load_explicit(entry, memory_order_relaxed) == 0)
        return false;
    for (size_t left = c->key_size, n; left > 0; left -= n, rest += n) {
        uint64_t word = atomic_load_explicit(++entry, memory_order_relaxed);
        n = left < WORD ? left : WORD;
        if (memcmp(&word, rest, n) != 0)
            return false;
    }
    return true;
}

/* The place, out of those of the set, that holds the key; NULL if none does. */
static _Atomic uint64_t *find_cached_entry(const struct shared_cache *c, _Atomic uint64_t *entry,
                                           const void *key)
{
    for (int way = 0; way < SHARED_CACHE_WAYS; way++, entry += c->words) {
        if (entry_has_key(c, entry, key))
            return entry;
    }
    return NULL;
}

bool shared_cache_get(const struct shared_cache *c, const void *key, void *value_r)
{
    const _Atomic uint64_t *entry = find_cached_entry(c, set_of(c, key), key);
    uint64_t copy[1 + WORDS_MAX] = {0};
    const char *bytes = (const char *)(copy + 1);
    if (!entry)
        return false;
    for (size_t i = 0; i < c->words; i++)
        copy[i] = atomic_load_explicit(&entry[i], memory_order_relaxed);
    if (memcmp(bytes, key, c->key_size) != 0 || copy[0] != checksum(c, bytes, (c->words - 1) * WORD))
        return false;
    memcpy(value_r, bytes + c->key_size, c->value_size);
    return true;
}

/* The place that holds the key already, else an empty one, else a random one. */
static _Atomic uint64_t *choose_entry(const struct shared_cache *c, const void *key, uint64_t random)
{
    _Atomic uint64_t *set = set_of(c, key), *own = find_cached_entry(c, set, key);
    if (own)
        return own;
    for (unsigned way = 0; way < SHARED_CACHE_WAYS; way++) {
        if (atomic_load_explicit(&set[way * c->words], memory_order_relaxed) == 0)
            return &set[way * c->words];
    }
    return &set[random % SHARED_CACHE_WAYS * c->words];
}

void shared_cache_put(struct shared_cache *c, const void *key, const void *value)
{
    uint64_t copy[1 + WORDS_MAX] = {0};
    char *bytes = (char *)(copy + 1);
    memcpy(bytes, key, c->key_size);
    memcpy(bytes + c->key_size, value, c->value_size);
    copy[0] = checksum(c, bytes, (c->words - 1) * WORD);
    _Atomic uint64_t *entry = choose_entry(c, key, copy[0]);
    for (size_t i = 0; i < c->words; i++)
        atomic_store_explicit(&entry[i], copy[i], memory_order_relaxed);
}

struct shared_cache_counts shared_cache_count(const struct shared_cache *c)
{
    struct shared_cache_counts counts = {.entries = c->entries};
    for (unsigned i = 0; i < c->entries; i++)
        counts.used += atomic_load_explicit(&c->table[i * c->words], memory_order_relaxed) != 0;
    return counts;
}
