/* A table from ids to pointers, for what the loop thread has in memory: open addressing, grown at three
 * quarters. Loop thread only; knows nothing of what it points at. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/ids.h"

struct id_map;

struct id_map *id_map_new(void *ctx);
void id_map_put(struct id_map *t, const id *key, void *value); /* replaces */
void *id_map_get(const struct id_map *t, const id *key);       /* NULL: not there */
void id_map_remove(struct id_map *t, const id *key);
size_t id_map_count(const struct id_map *t);

/* Goes over all: `cursor` begins at 0; NULL at the end. What is put meanwhile may be seen or not; what is
 * removed is not, and removing moves nothing. */
void *id_map_next(const struct id_map *t, size_t *cursor);
