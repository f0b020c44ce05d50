#include "executor/cache/compiled_cache.h"

#include <talloc.h>

#include "service/compute_thread.h"

struct compiled_cache {
    struct compiled_entry *entries[COMPILED_MAX];
    struct compute_thread *compute;
    struct memory_budget *memory;
    uint64_t uses;
    size_t source_bytes;
    /* Atomic, because other threads read them. */
    atomic_size_t entries_n, hits, misses;
};

static int compiled_cache_destroy(struct compiled_cache *cache)
{
    for (size_t i = 0; i < cache->entries_n; i++)
        compiled_entry_unref(cache->entries[i]);
    return 0;
}

struct compiled_cache *compiled_cache_new(void *ctx, struct compute_thread *compute,
                                          struct memory_budget *memory)
{
    struct compiled_cache *cache = talloc_zero(ctx, struct compiled_cache);
    cache->compute = compute;
    cache->memory = memory;
    talloc_set_destructor(cache, compiled_cache_destroy);
    return cache;
}

void compiled_entry_ref(struct compiled_entry *entry)
{
    atomic_fetch_add(&entry->references, 1);
}

void compiled_entry_unref(struct compiled_entry *entry)
{
    static const id nobody = {0};
    if (!entry || atomic_fetch_sub(&entry->references, 1) != 1)
        return;
    struct memory_budget *memory = entry->memory;
    size_t bytes = entry->memory_bytes;
    if (entry->compute && entry->source_bytes > COMPUTE_INLINE_MAX) {
        compute_discard(entry->compute, &nobody, entry, memory, bytes);
        return;
    }
    talloc_free(entry);
    memory_budget_return(memory, bytes);
}

static void *use_entry(struct compiled_cache *cache, struct compiled_entry *entry)
{
    entry->last_use = ++cache->uses;
    compiled_entry_ref(entry);
    return entry;
}

void *compiled_cache_get(struct compiled_cache *cache, const id *responder, int version)
{
    for (size_t i = 0; i < cache->entries_n; i++) {
        struct compiled_entry *entry = cache->entries[i];
        if (entry->version != version || !id_equal(&entry->responder, responder))
            continue;
        cache->hits++;
        return use_entry(cache, entry);
    }
    cache->misses++;
    return NULL;
}

/* An index; entries_n: there is none. */
static size_t least_recently_used(const struct compiled_cache *cache, bool unused)
{
    size_t oldest = cache->entries_n;
    for (size_t i = 0; i < cache->entries_n; i++) {
        if (unused && atomic_load(&cache->entries[i]->references) > 1)
            continue;
        if (oldest == cache->entries_n || cache->entries[i]->last_use < cache->entries[oldest]->last_use)
            oldest = i;
    }
    return oldest;
}

static void drop_entry(struct compiled_cache *cache, size_t index)
{
    struct compiled_entry *entry = cache->entries[index];
    cache->entries[index] = cache->entries[--cache->entries_n];
    cache->source_bytes -= entry->source_bytes;
    compiled_entry_unref(entry);
}

bool compiled_cache_drop_unused(struct compiled_cache *cache, size_t *bytes_r)
{
    size_t index = least_recently_used(cache, true);
    if (index == cache->entries_n)
        return false;
    *bytes_r = cache->entries[index]->memory_bytes;
    drop_entry(cache, index);
    return true;
}

void *compiled_cache_add(struct compiled_cache *cache, const id *responder, int version,
                         struct compiled_entry *entry)
{
    entry->responder = *responder;
    entry->version = version;
    entry->compute = cache->compute;
    atomic_init(&entry->references, 1);
    while (cache->entries_n == COMPILED_MAX ||
           (cache->entries_n > 0 && cache->source_bytes + entry->source_bytes > COMPILED_SOURCE_MAX))
        drop_entry(cache, least_recently_used(cache, false));
    entry->memory = cache->memory;
    memory_budget_add(cache->memory, entry->memory_bytes);
    cache->source_bytes += entry->source_bytes;
    cache->entries[cache->entries_n++] = entry;
    return use_entry(cache, entry);
}

struct compiled_cache_counts compiled_cache_count(const struct compiled_cache *cache)
{
    return (struct compiled_cache_counts){
        .entries = cache->entries_n, .hits = cache->hits, .misses = cache->misses};
}
