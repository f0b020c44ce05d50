/* When a balance crosses a line, what is usual, and where the line of spending is. */
#include <criterion/criterion.h>

#include "account/alerts.h"

static struct alert lines[3];
static struct account_alerts nearest;

static void decide(int64_t balance)
{
    alerts_decide_balance(&nearest, balance, lines, 3);
}

static int fired(void)
{
    int n = 0;
    for (int i = 0; i < 3; i++)
        n += lines[i].fires;
    return n;
}

Test(alerts, a_line_fires_once_until_the_balance_is_above_it)
{
    lines[0] = (struct alert){.kind = ALERT_CREDITS, .line = 100};
    lines[1] = (struct alert){.kind = ALERT_PERCENT, .value = 20, .line = 50};
    lines[2] = (struct alert){.kind = ALERT_CREDITS, .line = 0};
    decide(101);
    cr_assert_eq(fired(), 0);
    cr_assert_eq(nearest.below, 100);
    cr_assert_eq(nearest.above, INT64_MAX);
    decide(100);
    cr_assert(lines[0].fires && fired() == 1);
    cr_assert_eq(nearest.below, 50);
    cr_assert_eq(nearest.above, 100);
    for (int64_t balance = 99; balance > 50; balance--) {
        decide(balance);
        cr_assert_eq(fired(), 0);
    }
    decide(0); /* two lines at once */
    cr_assert(lines[1].fires && lines[2].fires && fired() == 2);
    cr_assert_eq(nearest.below, -1);
    cr_assert_eq(nearest.above, 0);
    decide(100);
    cr_assert_eq(fired(), 0);
    cr_assert(lines[0].told && !lines[1].told && !lines[2].told);
    cr_assert_eq(nearest.below, 50);
    cr_assert_eq(nearest.above, 100);
    decide(101);
    decide(40);
    cr_assert(lines[0].fires && lines[1].fires && fired() == 2, "each level was left");
}

Test(alerts, a_percentage_without_a_top_up_has_no_line)
{
    lines[0] = (struct alert){.kind = ALERT_PERCENT, .value = 20, .line = -1};
    lines[1] = (struct alert){.kind = ALERT_SPEND, .line = 100};
    lines[2] = (struct alert){.kind = ALERT_SPEND, .line = -1};
    decide(0);
    cr_assert_eq(fired(), 0);
    cr_assert_eq(nearest.below, -1);
    cr_assert_eq(nearest.above, INT64_MAX);
}

Test(alerts, the_median_of_fewer_than_three_days_is_not_known)
{
    int64_t days[ALERT_DAYS] = {3, -5};
    cr_assert_eq(alert_median(days, 0), -1);
    cr_assert_eq(alert_median(days, 2), -1);
    cr_assert_eq(alert_median((int64_t[]){30, 10, 20}, 3), 20);
    cr_assert_eq(alert_median((int64_t[]){40, 10, 21, 30}, 4), 25);
    cr_assert_eq(alert_median((int64_t[]){-9, -8, 7}, 3), 0, "more refunds than debits count as 0");
    cr_assert_eq(alert_median((int64_t[]){0, 9, 0, 9, 0, 9, 9}, 7), 9);
}

Test(alerts, the_line_of_spending_is_never_below_at_least)
{
    cr_assert_eq(alert_spend_line(&(struct alert){.value = 300, .at_least = 10, .usual = -1}), -1);
    cr_assert_eq(alert_spend_line(&(struct alert){.value = 300, .at_least = 10, .usual = 0}), 10);
    cr_assert_eq(alert_spend_line(&(struct alert){.value = 150, .at_least = 10, .usual = 7}), 10);
    cr_assert_eq(alert_spend_line(&(struct alert){.value = 150, .at_least = 10, .usual = 101}), 151);
    cr_assert_eq(alert_percent_of(INT64_C(1) << 62, 10000), INT64_MAX);
    cr_assert_eq(alert_percent_of(INT64_C(1) << 62, 50), INT64_C(1) << 61);
    cr_assert_eq(alert_percent_of(199, 99), 197);
}
