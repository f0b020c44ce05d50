#include "base/lru.h"

#include <string.h>
#include <talloc.h>
#include <uthash.h>

struct lru_entry {
    UT_hash_handle hh;
    void *value;
    size_t weight;
    char key[];
};

struct lru {
    /* uthash keeps the order of insertion, so the first entry is the least recently used one. */
    struct lru_entry *entries;
    size_t key_size, entries_max, weight_max;
    size_t weight;
};

static void evict(struct lru *lru, struct lru_entry *entry)
{
    HASH_DEL(lru->entries, entry);
    lru->weight -= entry->weight;
    talloc_free(entry);
}

/* uthash allocates its table by malloc, so talloc does not free it. */
static int lru_destroy(struct lru *lru)
{
    while (lru->entries)
        evict(lru, lru->entries);
    return 0;
}

struct lru *lru_new(void *ctx, size_t key_size, size_t entries_max, size_t weight_max)
{
    struct lru *lru = talloc_zero(ctx, struct lru);
    lru->key_size = key_size;
    lru->entries_max = entries_max;
    lru->weight_max = weight_max;
    talloc_set_destructor(lru, lru_destroy);
    return lru;
}

static struct lru_entry *find_entry(struct lru *lru, const void *key)
{
    struct lru_entry *entry;
    HASH_FIND(hh, lru->entries, key, lru->key_size, entry);
    return entry;
}

static void append(struct lru *lru, struct lru_entry *entry)
{
    HASH_ADD_KEYPTR(hh, lru->entries, entry->key, lru->key_size, entry);
}

void *lru_get(struct lru *lru, const void *key)
{
    struct lru_entry *entry = find_entry(lru, key);
    if (!entry)
        return NULL;
    if (entry->hh.next) {
        HASH_DEL(lru->entries, entry);
        append(lru, entry);
    }
    return entry->value;
}

void lru_put(struct lru *lru, const void *key, void *value, size_t weight)
{
    struct lru_entry *old = find_entry(lru, key);
    if (old)
        evict(lru, old);
    while (lru->entries &&
           (HASH_COUNT(lru->entries) >= lru->entries_max || lru->weight + weight > lru->weight_max))
        evict(lru, lru->entries);
    struct lru_entry *entry = talloc_zero_size(lru, sizeof *entry + lru->key_size);
    memcpy(entry->key, key, lru->key_size);
    entry->value = talloc_steal(entry, value);
    entry->weight = weight;
    lru->weight += weight;
    append(lru, entry);
}

void lru_remove(struct lru *lru, const void *key)
{
    struct lru_entry *entry = find_entry(lru, key);
    if (entry)
        evict(lru, entry);
}
