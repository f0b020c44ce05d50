#include <criterion/criterion.h>
#include <stdlib.h>

#include "account/balance_cache.h"

Test(seen_balances, enough_is_what_was_seen_lately)
{
    struct seen_balances *seen = calloc(1, sizeof *seen);
    id a = id_new(), b = id_new();
    cr_assert_not(seen_balances_enough(seen, &a, 0, 5000), "nothing was seen");
    seen_balances_put(seen, &a, 70, 5000);
    cr_assert(seen_balances_enough(seen, &a, 70, 5000));
    cr_assert_not(seen_balances_enough(seen, &a, 71, 5000));
    cr_assert_not(seen_balances_enough(seen, &b, 1, 5000), "another's balance");
    cr_assert(seen_balances_enough(seen, &a, 70, 5000 + SEEN_BALANCE_MS - 1));
    cr_assert_not(seen_balances_enough(seen, &a, 70, 5000 + SEEN_BALANCE_MS), "too long ago");
    seen_balances_put(seen, &a, 10, 5001);
    cr_assert_not(seen_balances_enough(seen, &a, 70, 5001));
    free(seen);
}

Test(seen_balances, workspaces_that_are_few_do_not_push_each_other_out)
{
    enum { WORKSPACES = 400 };
    struct seen_balances *seen = calloc(1, sizeof *seen);
    id all[WORKSPACES];
    int known = 0;
    for (int i = 0; i < WORKSPACES; i++) {
        all[i] = id_new();
        seen_balances_put(seen, &all[i], i, 5000 + i);
    }
    for (int i = 0; i < WORKSPACES; i++)
        known += seen_balances_enough(seen, &all[i], i, 5500);
    cr_assert_geq(known, WORKSPACES - 10, "%d are known", known);
    free(seen);
}
