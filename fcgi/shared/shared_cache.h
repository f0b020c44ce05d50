/* A cache in shared memory: what one worker has looked up is known to all workers of the host. With a cache
 * per process, each of thirty-two workers would ask MariaDB for the same key once a second.
 *
 * All entries have one size. A key may stand in any of SHARED_CACHE_WAYS places: with a single place, two
 * keys in constant use could evict each other forever.
 *
 * There is no lock, because a killed worker could leave it locked. Instead each entry carries a keyed
 * checksum of its bytes, so that a half-written entry (a write in progress, or one whose writer died) reads
 * as a miss. The cache knows no age: callers store the time of the look-up in the value. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct shared_cache;

enum {
    /* Of key and value together. */
    SHARED_CACHE_BYTES_MAX = 512,
    /* Places in which a key may stand. */
    SHARED_CACHE_WAYS = 4
};

/* Bytes of memory for `entries` (a multiple of SHARED_CACHE_WAYS) pairs of a key and a value, sizes in
 * bytes. */
size_t shared_cache_size(unsigned entries, size_t key_size, size_t value_size);
/* Sets up the cache in `memory`: shared_cache_size() zero bytes of the shared mapping. Call it before the
 * workers are forked. */
struct shared_cache *shared_cache_init(void *memory, unsigned entries, size_t key_size, size_t value_size);
bool shared_cache_get(const struct shared_cache *cache, const void *key, void *value_r);
/* Keys and values are compared and copied as bytes: no pointers, and padding must be zero. */
void shared_cache_put(struct shared_cache *cache, const void *key, const void *value);

struct shared_cache_counts {
    unsigned entries, used;
};
/* Counts the entries that hold a pair, whatever its age. It reads the whole table: for state dumps. */
struct shared_cache_counts shared_cache_count(const struct shared_cache *cache);
