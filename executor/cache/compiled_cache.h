/* A cache of compiled versions (programs of workflows, manifests of skills) with reference counts; the least
 * recently used entry makes room. A version never changes, so an entry never becomes wrong.
 *
 * The database thread owns the cache. Entries are shared with the loop thread: each holder of a reference
 * gives it back with compiled_entry_unref, from any thread, and the last one frees the entry. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/ids.h"
#include "base/memory_budget.h"

struct compute_thread;

/* Entries of one cache, and bytes of their texts. A compiled program takes tens of times the bytes of its
 * text (40 times for an array of small integers). */
enum { COMPILED_MAX = 256, COMPILED_SOURCE_MAX = 4 * 1024 * 1024 };

/* The head of an entry, which is a separate talloc context, because its last reference may be released in
 * another thread. */
struct compiled_entry {
    id responder;
    int version;
    uint64_t last_use;
    /* Bytes of the text that was compiled; set by the caller of compiled_cache_add. */
    size_t source_bytes;
    /* Bytes of memory, by estimate; set by the caller, too. They are counted from then on until the entry is
     * freed. */
    size_t memory_bytes;
    struct memory_budget *memory;
    atomic_int references;
    struct compute_thread *compute;
};

struct compiled_cache;

/* `compute` frees the large entries; NULL: they are freed where the last reference is dropped. `memory`
 * counts them until then; NULL: they are not counted. Both must outlive the entries. */
struct compiled_cache *compiled_cache_new(void *ctx, struct compute_thread *compute,
                                          struct memory_budget *memory);
/* Drops the least recently used entry that nobody holds a reference to. *bytes_r: its memory, which a large
 * entry returns later. False: there is none. */
bool compiled_cache_drop_unused(struct compiled_cache *cache, size_t *bytes_r);
/* A new reference to the entry of a version; NULL: it is not in the cache. */
void *compiled_cache_get(struct compiled_cache *cache, const id *responder, int version);
/* Adds an entry, whose head it fills in, in place of the least recently used ones if a limit is exceeded, and
 * returns a reference to it; the cache keeps another one. */
void *compiled_cache_add(struct compiled_cache *cache, const id *responder, int version,
                         struct compiled_entry *entry);

void compiled_entry_ref(struct compiled_entry *entry);
/* NULL-safe. */
void compiled_entry_unref(struct compiled_entry *entry);

struct compiled_cache_counts {
    size_t entries, hits, misses;
};
/* Any thread. */
struct compiled_cache_counts compiled_cache_count(const struct compiled_cache *cache);
