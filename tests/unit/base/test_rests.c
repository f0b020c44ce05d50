#include "base/rests.h"

#include <criterion/criterion.h>

Test(rests, lasts_twice_as_long_after_each_failure)
{
    struct rests r = {0};
    id a = id_new(), b = id_new();
    static const int64_t pauses[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
    for (size_t i = 0; i < sizeof pauses / sizeof pauses[0]; i++) {
        cr_assert_eq(rests_add(&r, &a, 10), pauses[i]);
        cr_assert(rests_has(&r, &a, 10 + pauses[i] - 1));
        cr_assert_not(rests_has(&r, &a, 10 + pauses[i]));
    }
    cr_assert_not(rests_has(&r, &b, 10));
    rests_end(&r, &b);
    rests_end(&r, &a);
    cr_assert_not(rests_has(&r, &a, 10));
    cr_assert_eq(rests_add(&r, &a, 10), 1000);
}

Test(rests, one_too_many_takes_the_place_whose_rest_ends_first)
{
    struct rests r = {0};
    id ids[RESTS_MAX + 1];
    for (int i = 0; i <= RESTS_MAX; i++) {
        ids[i] = id_new();
        rests_add(&r, &ids[i], 100 + i);
    }
    cr_assert_not(rests_has(&r, &ids[0], 200));
    for (int i = 1; i <= RESTS_MAX; i++)
        cr_assert(rests_has(&r, &ids[i], 200));
}
