#include <criterion/criterion.h>
#include <stdio.h>
#include <talloc.h>

#include "executor/cache/compiled_cache.h"

static int freed;

static int count_free(struct compiled_entry *entry)
{
    freed++;
    return 0;
}

static struct compiled_entry *entry_new(size_t source_bytes)
{
    struct compiled_entry *entry = talloc_zero(NULL, struct compiled_entry);
    entry->source_bytes = source_bytes;
    talloc_set_destructor(entry, count_free);
    return entry;
}

static id responder_id(int n)
{
    id i = {{0}};
    snprintf(i.text, sizeof i.text, "00000000-0000-7000-8000-%012d", n);
    return i;
}

static void add_sized(struct compiled_cache *cache, int n, int version, size_t source_bytes)
{
    id responder = responder_id(n);
    compiled_entry_unref(compiled_cache_add(cache, &responder, version, entry_new(source_bytes)));
}

static void add(struct compiled_cache *cache, int n, int version)
{
    add_sized(cache, n, version, 100);
}

static bool has(struct compiled_cache *cache, int n, int version)
{
    id responder = responder_id(n);
    struct compiled_entry *entry = compiled_cache_get(cache, &responder, version);
    compiled_entry_unref(entry);
    return entry != NULL;
}

Test(compiled_cache, finds_versions)
{
    struct compiled_cache *cache = compiled_cache_new(NULL, NULL, NULL);
    add(cache, 1, 1);
    add(cache, 1, 2);
    cr_assert(has(cache, 1, 1) && has(cache, 1, 2));
    cr_assert_not(has(cache, 1, 3));
    cr_assert_not(has(cache, 2, 1));
    struct compiled_cache_counts counts = compiled_cache_count(cache);
    cr_assert_eq(counts.entries, 2U);
    cr_assert_eq(counts.hits, 2U);
    cr_assert_eq(counts.misses, 2U);
    talloc_free(cache);
    cr_assert_eq(freed, 2);
}

Test(compiled_cache, drops_the_least_recently_used)
{
    struct compiled_cache *cache = compiled_cache_new(NULL, NULL, NULL);
    for (int i = 0; i < COMPILED_MAX; i++)
        add(cache, i, 1);
    cr_assert(has(cache, 0, 1)); /* now 1 is the oldest */
    add(cache, COMPILED_MAX, 1);
    cr_assert_eq(freed, 1);
    cr_assert(has(cache, 0, 1) && has(cache, COMPILED_MAX, 1));
    cr_assert_not(has(cache, 1, 1));
    cr_assert_eq(compiled_cache_count(cache).entries, (size_t)COMPILED_MAX);
    talloc_free(cache);
    cr_assert_eq(freed, COMPILED_MAX + 1);
}

Test(compiled_cache, entries_live_as_long_as_their_references)
{
    struct compiled_cache *cache = compiled_cache_new(NULL, NULL, NULL);
    id responder = responder_id(1);
    struct compiled_entry *entry = compiled_cache_add(cache, &responder, 1, entry_new(100));
    compiled_entry_ref(entry);
    talloc_free(cache);
    cr_assert_eq(freed, 0);
    compiled_entry_unref(entry);
    cr_assert_eq(freed, 0);
    compiled_entry_unref(entry);
    cr_assert_eq(freed, 1);
    compiled_entry_unref(NULL);
}

Test(compiled_cache, is_bounded_by_the_bytes_of_the_texts)
{
    struct compiled_cache *cache = compiled_cache_new(NULL, NULL, NULL);
    for (int i = 0; i < 4; i++)
        add_sized(cache, i, 1, COMPILED_SOURCE_MAX / 4);
    cr_assert_eq(freed, 0);
    add(cache, 4, 1);
    cr_assert_eq(freed, 1);
    cr_assert_not(has(cache, 0, 1));
    add_sized(cache, 5, 1, COMPILED_SOURCE_MAX + 1);
    cr_assert_eq(freed, 5, "one that is too large stands alone");
    cr_assert(has(cache, 5, 1));
    add(cache, 6, 1);
    cr_assert(has(cache, 6, 1) && !has(cache, 5, 1));
    talloc_free(cache);
    cr_assert_eq(freed, 7);
}

Test(compiled_cache, counts_memory_until_the_last_reference_is_gone)
{
    struct memory_budget memory;
    memory_budget_init(&memory, 1000000);
    struct compiled_cache *cache = compiled_cache_new(NULL, NULL, &memory);
    id used = responder_id(1);
    id unused = responder_id(2);
    size_t bytes;
    struct compiled_entry *entry = entry_new(100);
    entry->memory_bytes = 3000;
    struct compiled_entry *reference = compiled_cache_add(cache, &used, 1, entry);
    entry = entry_new(100);
    entry->memory_bytes = 500;
    compiled_entry_unref(compiled_cache_add(cache, &unused, 1, entry));
    cr_assert_eq(memory_budget_used(&memory), 3500U);
    cr_assert(compiled_cache_drop_unused(cache, &bytes) && bytes == 500);
    cr_assert_eq(memory_budget_used(&memory), 3000U);
    cr_assert_not(compiled_cache_drop_unused(cache, &bytes), "the other one is in use");
    talloc_free(cache);
    cr_assert_eq(memory_budget_used(&memory), 3000U);
    compiled_entry_unref(reference);
    cr_assert_eq(memory_budget_used(&memory), 0U);
}
