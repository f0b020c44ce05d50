#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fcgi/shared/shared_cache.h"

enum { ENTRIES = 8 };
struct value {
    long long number;
    char text[24];
};

static size_t size_of_cache(void)
{
    return shared_cache_size(ENTRIES, 5, sizeof(struct value));
}

static struct shared_cache *make_cache(void)
{
    return shared_cache_init(calloc(1, size_of_cache()), ENTRIES, 5, sizeof(struct value));
}

Test(shared_cache, returns_stored_values)
{
    struct shared_cache *c = make_cache();
    struct value v = {1, "one"};
    cr_assert_not(shared_cache_get(c, "aaaaa", &v));
    shared_cache_put(c, "aaaaa", &v);
    struct value w = {0};
    cr_assert(shared_cache_get(c, "aaaaa", &w));
    cr_assert_eq(w.number, 1);
    cr_assert_str_eq(w.text, "one");
    v.number = 2;
    shared_cache_put(c, "aaaaa", &v);
    cr_assert(shared_cache_get(c, "aaaaa", &w));
    cr_assert_eq(w.number, 2);
    free(c);
}

Test(shared_cache, never_returns_the_value_of_a_colliding_key)
{
    struct shared_cache *c = make_cache();
    for (int i = 0; i < 100; i++) {
        char key[16], other[16]; /* the key is the first five bytes */
        snprintf(key, sizeof key, "k%04d", i);
        shared_cache_put(c, key, &(struct value){.number = i});
        int had = 0;
        for (int k = 0; k <= i; k++) {
            struct value v;
            snprintf(other, sizeof other, "k%04d", k);
            if (shared_cache_get(c, other, &v)) {
                cr_assert_eq(v.number, k);
                had++;
            }
        }
        cr_assert_leq(had, ENTRIES);
        cr_assert_geq(had, 1);
    }
    free(c);
}

/* With one place per key instead of SHARED_CACHE_WAYS, about forty would be lost. */
Test(shared_cache, few_keys_do_not_evict_each_other)
{
    struct shared_cache *c = shared_cache_init(calloc(1, shared_cache_size(4096, 5, sizeof(struct value))),
                                               4096, 5, sizeof(struct value));
    char key[16];
    struct value v;
    int had = 0;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 400; i++) {
            snprintf(key, sizeof key, "k%04d", i);
            had += round == 1 && shared_cache_get(c, key, &v) && v.number == i;
            shared_cache_put(c, key, &(struct value){.number = i});
        }
    }
    cr_assert_geq(had, 390, "had %d of 400", had);
    free(c);
}

Test(shared_cache, a_torn_entry_is_a_miss)
{
    struct shared_cache *c = make_cache();
    size_t size = size_of_cache();
    char *older = malloc(size), *newer = malloc(size);
    struct value v;
    shared_cache_put(c, "aaaaa", &(struct value){1, "one"});
    memcpy(older, c, size);
    shared_cache_put(c, "aaaaa", &(struct value){2, "two"});
    memcpy(newer, c, size);
    /* as if the writer was killed after `cut` bytes */
    for (size_t cut = 0; cut <= size; cut += 8) {
        memcpy(c, newer, cut);
        memcpy((char *)c + cut, older + cut, size - cut);
        if (shared_cache_get(c, "aaaaa", &v))
            cr_assert(v.number == 1 ? strcmp(v.text, "one") == 0
                                    : v.number == 2 && strcmp(v.text, "two") == 0);
    }
    free(older);
    free(newer);
    free(c);
}
