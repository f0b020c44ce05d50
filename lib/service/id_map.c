#include "service/id_map.h"

#include <stdint.h>
#include <string.h>
#include <talloc.h>

struct entry {
    id key;
    void *value; /* NULL: free, or, where `gone`, left so that what was put behind it is found */
    bool gone;
};

struct id_table {
    struct entry *entries; /* a power of two of them */
    size_t size, count, gone;
};

struct id_table *id_table_new(void *ctx)
{
    struct id_table *t = talloc_zero(ctx, struct id_table);
    t->size = 64;
    t->entries = talloc_zero_array(t, struct entry, t->size);
    return t;
}

/* The end of a UUIDv7 is random: FNV-1a over its text is enough. */
static size_t place_of(const struct id_table *t, const id *key)
{
    uint64_t h = 14695981039346656037U;
    for (const char *p = key->text; *p; p++)
        h = (h ^ (unsigned char)*p) * 1099511628211U;
    return (h ^ h >> 32) & (t->size - 1);
}

/* Where the key stands, or the free place where the search ended. */
static struct entry *seek(const struct id_table *t, const id *key)
{
    size_t i = place_of(t, key);
    for (;; i = (i + 1) & (t->size - 1)) {
        struct entry *e = &t->entries[i];
        if ((!e->value && !e->gone) || (e->value && strcmp(e->key.text, key->text) == 0))
            return e;
    }
}

static void grow(struct id_table *t)
{
    struct entry *old = t->entries;
    size_t size = t->size;
    t->size = t->count * 2 >= size ? size * 2 : size; /* many gone: the same size does */
    t->entries = talloc_zero_array(t, struct entry, t->size);
    t->gone = 0;
    for (size_t i = 0; i < size; i++) {
        if (old[i].value)
            *seek(t, &old[i].key) = old[i];
    }
    talloc_free(old);
}

void id_table_put(struct id_table *t, const id *key, void *value)
{
    if ((t->count + t->gone + 1) * 4 > t->size * 3)
        grow(t);
    struct entry *e = seek(t, key);
    if (!e->value)
        t->count++;
    *e = (struct entry){.key = *key, .value = value};
}

void *id_table_get(const struct id_table *t, const id *key)
{
    return seek(t, key)->value;
}

void id_table_remove(struct id_table *t, const id *key)
{
    struct entry *e = seek(t, key);
    if (!e->value)
        return;
    e->value = NULL;
    e->gone = true;
    t->count--;
    t->gone++;
}

size_t id_table_count(const struct id_table *t)
{
    return t->count;
}

void *id_table_next(const struct id_table *t, size_t *place)
{
    while (*place < t->size) {
        void *value = t->entries[(*place)++].value;
        if (value)
            return value;
    }
    return NULL;
}
