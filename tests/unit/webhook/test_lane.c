#include <criterion/criterion.h>

#include "webhook/lane.h"

Test(lane, is_deferred_only_for_what_is_its_own_fault)
{
    cr_expect(webhook_lane_is_at_fault(ERR_INTERNAL, OK));
    cr_expect(webhook_lane_is_at_fault(ERR_UNAVAILABLE, OK), "its statement took too long");
    cr_expect_not(webhook_lane_is_at_fault(ERR_UNAVAILABLE, ERR_UNAVAILABLE), "MariaDB is away");
    cr_expect_not(webhook_lane_is_at_fault(ERR_RETRY, OK), "its rows were locked");
}
