#include <criterion/criterion.h>
#include <stdlib.h>

#include "account/balance_cache.h"

Test(balance_cache, uses_only_recent_balances)
{
    struct balance_cache *seen = calloc(1, sizeof *seen);
    id a = id_new(), b = id_new();
    cr_assert_not(balance_cache_covers(seen, &a, 0, 5000), "nothing was seen");
    balance_cache_put(seen, &a, 70, 5000);
    cr_assert(balance_cache_covers(seen, &a, 70, 5000));
    cr_assert_not(balance_cache_covers(seen, &a, 71, 5000));
    cr_assert_not(balance_cache_covers(seen, &b, 1, 5000), "another's balance");
    cr_assert(balance_cache_covers(seen, &a, 70, 5000 + BALANCE_CACHE_TTL_MS - 1));
    cr_assert_not(balance_cache_covers(seen, &a, 70, 5000 + BALANCE_CACHE_TTL_MS), "too long ago");
    balance_cache_put(seen, &a, 10, 5001);
    cr_assert_not(balance_cache_covers(seen, &a, 70, 5001));
    free(seen);
}

Test(balance_cache, few_workspaces_do_not_evict_each_other)
{
    enum { WORKSPACES = 400 };
    struct balance_cache *seen = calloc(1, sizeof *seen);
    id all[WORKSPACES];
    int known = 0;
    for (int i = 0; i < WORKSPACES; i++) {
        all[i] = id_new();
        balance_cache_put(seen, &all[i], i, 5000 + i);
    }
    for (int i = 0; i < WORKSPACES; i++)
        known += balance_cache_covers(seen, &all[i], i, 5500);
    cr_assert_geq(known, WORKSPACES - 10, "%d are known", known);
    free(seen);
}
