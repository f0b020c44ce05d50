/* A hash table from ids to pointers, for objects that the loop thread holds in memory. Open addressing; it is
 * rehashed when three quarters of the entries are used or deleted. The caller owns the values. Loop thread
 * only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/ids.h"

struct id_map;

struct id_map *id_map_new(void *ctx);
/* Adds the value, which must not be NULL, or replaces the one of this key. */
void id_map_put(struct id_map *t, const id *key, void *value);
/* NULL if absent. */
void *id_map_get(const struct id_map *t, const id *key);
void id_map_remove(struct id_map *t, const id *key);
size_t id_map_count(const struct id_map *t);

/* Iterates over all values: *cursor starts at 0; NULL at the end. Values may be removed during an iteration,
 * because removing moves no entry. Adding a value may rehash the table; the iteration can then skip values or
 * return them twice. */
void *id_map_next(const struct id_map *t, size_t *cursor);
