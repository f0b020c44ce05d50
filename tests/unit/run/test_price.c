#include <criterion/criterion.h>

#include "run/price.h"

enum { CREDIT = 1000000 };

Test(run_price, prefers_the_responders_price_then_the_workspaces_then_one_credit)
{
    static const struct {
        int64_t price, account_price, expected;
    } cases[] = {
        {-1, -1, CREDIT}, {-1, 5, 5}, {-1, 0, 0}, {3, -1, 3}, {3, 5, 3}, {0, 5, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct run_request req = {.price = cases[i].price};
        cr_expect_eq(run_price(&req, cases[i].account_price), cases[i].expected, "case %zu", i);
    }
}

Test(run_price, is_never_less_than_the_program_asks_for)
{
    struct run_request cheap = {.price = 2, .credits_asked = 7};
    struct run_request dear = {.price = 9, .credits_asked = 7};
    struct run_request unpriced = {.price = -1, .credits_asked = 3 * CREDIT};
    cr_expect_eq(run_price(&cheap, -1), 7);
    cr_expect_eq(run_price(&dear, -1), 9);
    cr_expect_eq(run_price(&unpriced, -1), 3 * CREDIT);
}
