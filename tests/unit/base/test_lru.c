#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "base/lru.h"

static void put(struct lru *lru, int key, size_t weight)
{
    int *value = talloc(NULL, int);
    *value = 10 * key;
    lru_put(lru, &key, value, weight);
}

static bool has(struct lru *lru, int key)
{
    int *value = lru_get(lru, &key);
    cr_assert(!value || *value == 10 * key);
    return value != NULL;
}

Test(lru, returns_what_was_put)
{
    struct lru *lru = lru_new(NULL, sizeof(int), 4, 100);
    cr_assert_not(has(lru, 1));
    put(lru, 1, 1);
    cr_assert(has(lru, 1));
    cr_assert_not(has(lru, 2));
    talloc_free(lru);
}

Test(lru, evicts_the_least_recently_used_entry)
{
    struct lru *lru = lru_new(NULL, sizeof(int), 3, 100);
    for (int key = 1; key <= 3; key++)
        put(lru, key, 1);
    cr_assert(has(lru, 1));
    put(lru, 4, 1);
    cr_assert_not(has(lru, 2));
    cr_assert(has(lru, 1) && has(lru, 3) && has(lru, 4));
    talloc_free(lru);
}

Test(lru, keeps_the_total_weight)
{
    struct lru *lru = lru_new(NULL, sizeof(int), 100, 10);
    put(lru, 1, 4);
    put(lru, 2, 4);
    put(lru, 3, 4);
    cr_assert_not(has(lru, 1));
    cr_assert(has(lru, 2) && has(lru, 3));
    put(lru, 4, 11);
    cr_assert_not(has(lru, 2));
    cr_assert_not(has(lru, 3));
    cr_assert(has(lru, 4), "an entry that is too heavy is kept alone");
    put(lru, 5, 1);
    cr_assert_not(has(lru, 4));
    cr_assert(has(lru, 5));
    talloc_free(lru);
}

Test(lru, removes_a_value_with_its_weight)
{
    struct lru *lru = lru_new(NULL, sizeof(int), 3, 10);
    int absent = 7, key = 1;
    put(lru, 1, 9);
    lru_remove(lru, &absent);
    cr_assert(has(lru, 1));
    lru_remove(lru, &key);
    cr_assert_not(has(lru, 1));
    put(lru, 2, 9);
    put(lru, 3, 1);
    cr_assert(has(lru, 2) && has(lru, 3), "the weight of the removed value no longer counts");
    talloc_free(lru);
}

Test(lru, replaces_the_value_of_a_key)
{
    struct lru *lru = lru_new(NULL, sizeof(int), 3, 10);
    put(lru, 1, 9);
    put(lru, 1, 5);
    put(lru, 2, 5);
    cr_assert(has(lru, 1) && has(lru, 2), "the weight of the replaced value no longer counts");
    talloc_free(lru);
}

static int freed;

static int count_free(int *value)
{
    freed++;
    return 0;
}

Test(lru, owns_its_values)
{
    struct lru *lru = lru_new(NULL, sizeof(int), 2, 10);
    for (int key = 0; key < 5; key++) {
        int *value = talloc_zero(NULL, int);
        talloc_set_destructor(value, count_free);
        lru_put(lru, &key, value, 1);
    }
    cr_assert_eq(freed, 3);
    talloc_free(lru);
    cr_assert_eq(freed, 5);
}
