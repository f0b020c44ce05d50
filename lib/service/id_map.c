#include "service/id_map.h"

#include <stdint.h>
#include <talloc.h>

struct id_map_entry {
    id key;
    /* NULL: free. If also `deleted`, the entry is kept so that a search continues past it */
    void *value;
    bool deleted;
};

struct id_map {
    /* array of `size` entries; a power of two */
    struct id_map_entry *entries;
    size_t size, count, deleted;
};

struct id_map *id_map_new(void *ctx)
{
    struct id_map *t = talloc_zero(ctx, struct id_map);
    t->size = 64;
    t->entries = talloc_zero_array(t, struct id_map_entry, t->size);
    return t;
}

/* FNV-1a over the text is sufficient, because the end of a UUIDv7 is random. */
static size_t id_map_hash_slot(const struct id_map *t, const id *key)
{
    uint64_t h = 14695981039346656037U;
    for (const char *p = key->text; *p; p++)
        h = (h ^ (unsigned char)*p) * 1099511628211U;
    return (h ^ h >> 32) & (t->size - 1);
}

/* Returns the entry of the key, or the free entry at which the search ended. */
static struct id_map_entry *id_map_find_slot(const struct id_map *t, const id *key)
{
    size_t i = id_map_hash_slot(t, key);
    for (;; i = (i + 1) & (t->size - 1)) {
        struct id_map_entry *e = &t->entries[i];
        if ((!e->value && !e->deleted) || (e->value && id_equal(&e->key, key)))
            return e;
    }
}

static void id_map_grow(struct id_map *t)
{
    struct id_map_entry *old = t->entries;
    size_t size = t->size;
    t->size = t->count * 2 >= size
                  ? size * 2
                  : size; /* if many entries are deleted, rehashing at the same size frees them */
    t->entries = talloc_zero_array(t, struct id_map_entry, t->size);
    t->deleted = 0;
    for (size_t i = 0; i < size; i++) {
        if (old[i].value)
            *id_map_find_slot(t, &old[i].key) = old[i];
    }
    talloc_free(old);
}

void id_map_put(struct id_map *t, const id *key, void *value)
{
    if ((t->count + t->deleted + 1) * 4 > t->size * 3)
        id_map_grow(t);
    struct id_map_entry *e = id_map_find_slot(t, key);
    if (!e->value)
        t->count++;
    *e = (struct id_map_entry){.key = *key, .value = value};
}

void *id_map_get(const struct id_map *t, const id *key)
{
    return id_map_find_slot(t, key)->value;
}

void id_map_remove(struct id_map *t, const id *key)
{
    struct id_map_entry *e = id_map_find_slot(t, key);
    if (!e->value)
        return;
    e->value = NULL;
    e->deleted = true;
    t->count--;
    t->deleted++;
}

size_t id_map_count(const struct id_map *t)
{
    return t->count;
}

void *id_map_next(const struct id_map *t, size_t *cursor)
{
    while (*cursor < t->size) {
        void *value = t->entries[(*cursor)++].value;
        if (value)
            return value;
    }
    return NULL;
}
