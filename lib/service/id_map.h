/* A table from ids to pointers, for what the loop thread has in memory: open addressing, grown at three
 * quarters. Loop thread only; knows nothing of what it points at. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/ids.h"

struct id_table;

struct id_table *id_table_new(void *ctx);
void id_table_put(struct id_table *t, const id *key, void *value); /* replaces */
void *id_table_get(const struct id_table *t, const id *key);       /* NULL: not there */
void id_table_remove(struct id_table *t, const id *key);
size_t id_table_count(const struct id_table *t);

/* Goes over all: `place` begins at 0; NULL at the end. What is put meanwhile may be seen or not; what is
 * removed is not, and removing moves nothing. */
void *id_table_next(const struct id_table *t, size_t *place);
