#include <criterion/criterion.h>

#include "base/sort.h"

struct pair {
    int key, n;
};

static int by_key(const void *a, const void *b)
{
    return ((const struct pair *)a)->key - ((const struct pair *)b)->key;
}

static void add(void *kept, const void *equal)
{
    ((struct pair *)kept)->n += ((const struct pair *)equal)->n;
}

Test(sort, adds_equal_elements_up)
{
    struct pair list[] = {{3, 1}, {1, 10}, {3, 100}, {2, 1000}, {3, 10000}};
    cr_assert_eq(sort_merge(list, 5, sizeof *list, by_key, add), 3);
    for (int i = 0; i < 3; i++)
        cr_expect_eq(list[i].key, i + 1);
    cr_expect_eq(list[0].n, 10);
    cr_expect_eq(list[1].n, 1000);
    cr_expect_eq(list[2].n, 10101);
}

Test(sort, drops_equal_elements)
{
    struct pair list[] = {{2, 0}, {1, 0}, {2, 0}, {2, 0}};
    cr_assert_eq(sort_merge(list, 4, sizeof *list, by_key, NULL), 2);
    cr_expect(list[0].key == 1 && list[1].key == 2);
    cr_expect_eq(sort_merge(list, 1, sizeof *list, by_key, NULL), 1);
}

Test(sort, takes_no_elements)
{
    cr_assert_eq(sort_merge(NULL, 0, sizeof(struct pair), by_key, add), 0);
}
