#include <criterion/criterion.h>
#include <string.h>

#include "spending/price_store.h"

enum { CREDIT = 1000000 };

Test(price_list, a_unit_is_rounded_up_to_a_micro_credit)
{
    struct unit_price tokens = {.price = 3, .max = INT64_MAX};
    cr_assert_eq(price_of_unit(&tokens, PRICE_INPUT, 0), 0);
    cr_assert_eq(price_of_unit(&tokens, PRICE_INPUT, 1), 1);
    cr_assert_eq(price_of_unit(&tokens, PRICE_INPUT, 333333), 1);
    cr_assert_eq(price_of_unit(&tokens, PRICE_INPUT, 333334), 2);
    cr_assert_eq(price_of_unit(&tokens, PRICE_INPUT, 1000000), 3);
    cr_assert_eq(price_of_unit(&tokens, PRICE_INPUT, 1000001), 4);
    struct unit_price seconds = {.price = 2 * CREDIT, .max = 60000};
    cr_assert_eq(price_of_unit(&seconds, PRICE_TIME, 1500), 3 * CREDIT);
    struct unit_price bytes = {.price = CREDIT, .max = 5000000};
    cr_assert_eq(price_of_unit(&bytes, PRICE_BYTES, 1), 1);
}

Test(price_list, more_than_the_maximum_costs_no_more_than_it)
{
    struct unit_price u = {.price = CREDIT, .max = 1000};
    cr_assert_eq(price_of_unit(&u, PRICE_OUTPUT, 1000), 1000);
    cr_assert_eq(price_of_unit(&u, PRICE_OUTPUT, 1001), 1000);
    cr_assert_eq(price_of_unit(&u, PRICE_OUTPUT, INT64_MAX), 1000);
    cr_assert_eq(price_of_unit(&u, PRICE_OUTPUT, -5), 0);
    u.max = 0;
    cr_assert_eq(price_of_unit(&u, PRICE_OUTPUT, 5), 0);
}

Test(price_list, an_overflow_is_the_greatest_number)
{
    struct unit_price u = {.price = INT64_MAX, .max = INT64_MAX};
    cr_assert_eq(price_of_unit(&u, PRICE_TIME, INT64_MAX), INT64_MAX);
    cr_assert_eq(price_of_unit(&u, PRICE_BYTES, 1000000), INT64_MAX);
    struct unit_price units[PRICE_UNITS] = {{INT64_MAX, 1000000}, {1, 1}};
    cr_assert_eq(price_held(units), INT64_MAX);
}

Test(price_list, what_is_held_is_at_least_what_can_be_used)
{
    struct unit_price units[PRICE_UNITS] = {{7, 1234567}, {11, 1}, {0, 5}, {13, 999}, {17, 1999999}};
    int64_t held = price_held(units);
    for (int64_t n = 0; n < 3000000; n += 9973) {
        int64_t used = 0;
        for (int u = 0; u < PRICE_UNITS; u++)
            used += price_of_unit(&units[u], (enum price_unit)u, n);
        cr_assert_leq(used, held);
    }
    cr_assert_eq(held, 9 + 1 + 0 + 13 + 34);
}

Test(price_list, the_most_specific_target_counts)
{
    id flow = id_new(), other = id_new();
    struct shown_price_list lists[] = {
        {{.fixed = 1}, true},
        {{.fixed = 2, .model = "m"}, true},
        {{.fixed = 3, .responder_id = flow}, true},
        {{.fixed = 4, .responder_id = flow, .model = "m"}, true},
        {{.fixed = 5, .responder_id = flow, .model = "m"}, false},
        {{.responder_id = other, .ended = true}, true},
    };
    enum { N = sizeof lists / sizeof *lists };
    cr_assert_eq(price_lists_choose(lists, N, &flow, "m")->fixed, 4);
    cr_assert_eq(price_lists_choose(lists, N, &flow, "n")->fixed, 3);
    cr_assert_eq(price_lists_choose(lists, N, &flow, NULL)->fixed, 3);
    cr_assert_eq(price_lists_choose(lists, N, &other, "m")->fixed, 2);
    cr_assert_eq(price_lists_choose(lists, N, &other, NULL)->fixed, 1);
    cr_assert_null(price_lists_choose(lists, 0, &other, NULL));
}

Test(price_list, each_target_has_its_hash)
{
    id workspace = id_new(), flow = id_new();
    struct price_list lists[] = {
        {.workspace_id = workspace},
        {.workspace_id = workspace, .model = "m"},
        {.workspace_id = workspace, .responder_id = flow},
        {.workspace_id = workspace, .responder_id = flow, .model = "m"},
        {.workspace_id = workspace, .model = flow.text},
        {.workspace_id = flow},
    };
    enum { N = sizeof lists / sizeof *lists };
    uint8_t hashes[N][PRICE_HASH_SIZE];
    for (size_t i = 0; i < N; i++) {
        price_list_hash(&lists[i], hashes[i]);
        for (size_t k = 0; k < i; k++)
            cr_assert_neq(memcmp(hashes[i], hashes[k], PRICE_HASH_SIZE), 0, "%zu %zu", i, k);
    }
}
