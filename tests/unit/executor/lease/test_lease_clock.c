#include <criterion/criterion.h>

#include "executor/lease/lease_clock.h"

Test(lease_clock, holds_for_10_s_from_the_sending_of_the_heartbeat)
{
    struct lease_clock c = {.lease_ms = 10000};
    cr_expect_not(lease_clock_holds(&c, 1000), "no lease yet");
    cr_expect_not(lease_clock_is_over(&c, 1000), "nor is it over");
    cr_expect(lease_clock_renew(&c, 1000, 1500));
    cr_expect(lease_clock_holds(&c, 10999));
    cr_expect(lease_clock_renew(&c, 4000, 10999));
    cr_expect(lease_clock_holds(&c, 13999));
    cr_expect_not(lease_clock_holds(&c, 14000));
    cr_expect(lease_clock_is_over(&c, 14000));
}

Test(lease_clock, once_over_stays_over)
{
    struct lease_clock c = {.lease_ms = 10000};
    lease_clock_renew(&c, 1000, 1000);
    cr_expect_not(lease_clock_holds(&c, 11000), "found to be over");
    cr_expect_not(lease_clock_renew(&c, 10900, 10950), "by a thread whose time is older");
    cr_expect_not(lease_clock_holds(&c, 10950));
    cr_expect_eq(c.sent_ms, 1000);
}

Test(lease_clock, a_heartbeat_that_comes_back_too_late_does_not_renew)
{
    struct lease_clock c = {.lease_ms = 10000};
    lease_clock_renew(&c, 1000, 1000);
    cr_expect_not(lease_clock_renew(&c, 10900, 11000));
    cr_expect_not(lease_clock_holds(&c, 11000));
}

Test(lease_clock, ends_at_once_when_the_process_was_marked_as_lost)
{
    struct lease_clock c = {.lease_ms = 10000};
    lease_clock_renew(&c, 1000, 1000);
    lease_clock_end(&c);
    cr_expect_not(lease_clock_holds(&c, 1001));
    cr_expect(lease_clock_is_over(&c, 1001));
}
