#include <criterion/criterion.h>

#include "run/charge.h"

enum { CREDIT = 1000000 };

Test(charge, cached_tokens_are_input_tokens_unless_they_have_a_price)
{
    struct unit_price units[PRICE_UNITS] = {[PRICE_INPUT] = {CREDIT, 1000000}};
    struct charge_use use = charge_count(units, 1000, 0, 400, 0, 0);
    cr_assert_eq(use.amounts[PRICE_INPUT], 1000);
    cr_assert_eq(use.amounts[PRICE_CACHED], 0);
    units[PRICE_CACHED] = (struct unit_price){CREDIT / 10, 1000000};
    use = charge_count(units, 1000, 0, 400, 0, 0);
    cr_assert_eq(use.amounts[PRICE_INPUT], 600);
    cr_assert_eq(use.amounts[PRICE_CACHED], 400);
    cr_assert_eq(charge_price(units, &use), 600 + 40);
    use = charge_count(units, 1000, 0, 4000, 0, 0);
    cr_assert_eq(use.amounts[PRICE_INPUT], 0, "no more than there are");
    cr_assert_eq(use.amounts[PRICE_CACHED], 1000);
}

Test(charge, never_costs_more_than_is_held)
{
    struct unit_price units[PRICE_UNITS] = {{7, 1234}, {11, 10}, {3, 77}, {CREDIT, 1500}, {5, 1}};
    int64_t held = price_held(units);
    struct charge_use use = charge_count(units, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX);
    cr_assert_leq(charge_price(units, &use), held);
    use = charge_count(units, 0, 0, 0, 0, 0);
    cr_assert_eq(charge_price(units, &use), 0);
    use = charge_count(units, 0, 0, 0, 1, 0);
    cr_assert_eq(charge_price(units, &use), 1000);
}
