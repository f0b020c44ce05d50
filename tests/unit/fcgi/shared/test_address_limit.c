#include <criterion/criterion.h>
#include <stdlib.h>

#include "fcgi/shared/address_limit.h"

enum { LIMIT = 3, NOW_MS = 5000 };

static struct address_limit *new_limit(void)
{
    struct address_limit *limit = calloc(1, sizeof *limit);
    address_limit_init(limit);
    return limit;
}

static int taken(struct address_limit *limit, const char *address, int64_t now_ms, int times)
{
    int n = 0;
    for (int i = 0; i < times; i++)
        n += address_limit_take(limit, address, now_ms, LIMIT);
    return n;
}

Test(address_limit, each_address_has_its_look_ups_per_second)
{
    struct address_limit *limit = new_limit();
    cr_assert_eq(taken(limit, "192.0.2.1", NOW_MS, 10), LIMIT);
    cr_assert_eq(taken(limit, "192.0.2.2", NOW_MS, 10), LIMIT);
    cr_assert_eq(taken(limit, "192.0.2.1", NOW_MS + 999, 10), 0);
    cr_assert_eq(taken(limit, "192.0.2.1", NOW_MS + 1000, 10), LIMIT);
    free(limit);
}

Test(address_limit, known_credentials_are_given_back)
{
    struct address_limit *limit = new_limit();
    for (int i = 0; i < 10; i++) {
        cr_assert(address_limit_take(limit, "192.0.2.1", NOW_MS, LIMIT));
        address_limit_give_back(limit, "192.0.2.1", NOW_MS);
    }
    cr_assert_eq(taken(limit, "192.0.2.1", NOW_MS, 10), LIMIT);
    address_limit_give_back(limit, "192.0.2.1", NOW_MS - 1000); /* of a second that has passed */
    cr_assert_eq(taken(limit, "192.0.2.1", NOW_MS, 10), 0);
    address_limit_give_back(limit, "192.0.2.9", NOW_MS); /* never taken */
    cr_assert_eq(taken(limit, "192.0.2.9", NOW_MS, 10), LIMIT);
    free(limit);
}
