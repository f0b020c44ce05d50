#include "store/share_limits.h"

#include <criterion/criterion.h>
#include <talloc.h>

Test(share_limits, the_setting_applies_unless_the_operator_has_set_a_limit)
{
    static struct config config;
    config.quotas.uploads = 256;
    config.quotas.http_requests = 4096;
    config.quotas.slow_requests = 0;
    struct share_limits *l = share_limits_new(NULL, &config);
    id a = id_new(), b = id_new();
    const struct share_row rows[] = {
        {b, QUOTA_UPLOADS, 7}, {a, QUOTA_HTTP_REQUESTS, 100}, {a, QUOTA_UPLOADS, 2}};
    cr_assert_eq(share_limits_get(l, QUOTA_UPLOADS, &a), 256U);
    share_limits_put(l, rows, 3);
    cr_assert_eq(share_limits_get(l, QUOTA_UPLOADS, &a), 2U);
    cr_assert_eq(share_limits_get(l, QUOTA_HTTP_REQUESTS, &a), 100U);
    cr_assert_eq(share_limits_get(l, QUOTA_UPLOADS, &b), 7U);
    cr_assert_eq(share_limits_get(l, QUOTA_HTTP_REQUESTS, &b), 4096U);
    cr_assert_eq(share_limits_get(l, QUOTA_SLOW_REQUESTS, &b), 1U, "never none");
    share_limits_put(l, rows, 0);
    cr_assert_eq(share_limits_get(l, QUOTA_UPLOADS, &a), 256U);
    talloc_free(l);
}
