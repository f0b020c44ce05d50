/* A bounded map from keys of one size to values; it evicts the least recently used entry. A map belongs to
 * one thread and takes no locks. */
#pragma once

#include <stddef.h>

struct lru;

/* At most `entries_max` entries, and values of at most `weight_max` in total (see lru_put). Freed by
 * talloc. */
struct lru *lru_new(void *ctx, size_t key_size, size_t entries_max, size_t weight_max);
/* The value of a key, which becomes the most recently used one; NULL if absent. Keys are compared as bytes:
 * padding must be zero. The value is valid until the next lru_put or lru_remove. */
void *lru_get(struct lru *lru, const void *key);
/* Adds or replaces the value of a key and takes ownership of it (a talloc object). Evicts other entries until
 * the limits are kept; an entry that alone exceeds weight_max is the only one left. */
void lru_put(struct lru *lru, const void *key, void *value, size_t weight);
/* Frees the value of a key, if there is one. */
void lru_remove(struct lru *lru, const void *key);
