/* What one worker has looked up, for all workers of the host: entries of one size in the shared mapping,
 * found by their keys, each in one of a few places: in one of its own, two that are asked for all the time
 * could push each other out for ever. With a cache of its own each of thirty-two workers would ask MariaDB
 * for the same key once a second.
 *
 * There is no lock, which a worker that is killed could leave behind: an entry carries a keyed checksum of
 * its bytes, so that one which is half-written, just now or by somebody who died over it, is no entry at all.
 * How old an entry may be is the caller's to know: the value says when it was asked for. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct shared_cache;

enum {
    SHARED_CACHE_BYTES_MAX = 512, /* of key and value together */
    SHARED_CACHE_WAYS = 4         /* places that a key may be in */
};

/* For `entries` (a multiple of SHARED_CACHE_WAYS) pairs of a key of key_size and a value of value_size
 * octets. */
size_t shared_cache_size(unsigned entries, size_t key_size, size_t value_size);
/* `memory`: as many zero bytes, in the mapping, before the workers are forked. */
struct shared_cache *shared_cache_init(void *memory, unsigned entries, size_t key_size, size_t value_size);
bool shared_cache_get(const struct shared_cache *cache, const void *key, void *value_r);
/* Values are compared and copied as bytes: no pointers, and padding set to zero. */
void shared_cache_put(struct shared_cache *cache, const void *key, const void *value);
