#include <criterion/criterion.h>

#include "fcgi/shared/busy_account.h"

enum { WORKERS = 3 };
static const uint64_t A = 11, B = 22;

Test(busy_account, an_account_that_is_held_is_locked_since_the_first_look_of_any_worker)
{
    struct busy_account records[WORKERS] = {0};
    cr_expect_eq(busy_account_remember(records, WORKERS, &records[0], A, 7, 1000), 1000);
    cr_expect_eq(busy_account_remember(records, WORKERS, &records[1], A, 7, 1300), 1000);
    cr_expect_eq(busy_account_remember(records, WORKERS, &records[0], A, 7, 1700), 1000);
}

Test(busy_account, an_account_that_others_have_written_in_between_is_not_held)
{
    struct busy_account records[WORKERS] = {0};
    busy_account_remember(records, WORKERS, &records[0], A, 7, 1000);
    cr_expect_eq(busy_account_remember(records, WORKERS, &records[1], A, 8, 1300), 1300);
    cr_expect_eq(busy_account_remember(records, WORKERS, &records[0], A, 8, 1400), 1300);
    cr_expect_eq(busy_account_remember(records, WORKERS, &records[0], A, 9, 1600), 1600);
}

Test(busy_account, accounts_are_apart)
{
    struct busy_account records[WORKERS] = {0};
    busy_account_remember(records, WORKERS, &records[0], A, 7, 1000);
    cr_expect_eq(busy_account_remember(records, WORKERS, &records[1], B, 7, 1300), 1300);
}

Test(busy_account, it_is_free_once_it_was_forgotten_or_not_seen_locked_for_long)
{
    struct busy_account records[WORKERS] = {0};
    busy_account_remember(records, WORKERS, &records[0], A, 7, 1000);
    busy_account_forget(records, WORKERS, A);
    cr_expect_eq(busy_account_remember(records, WORKERS, &records[1], A, 7, 1100), 1100);
    cr_expect_eq(busy_account_remember(records, WORKERS, &records[1], A, 7, 1600), 1600);
    cr_expect_eq(busy_account_remember(records, WORKERS, &records[2], A, 7, 2000), 1600);
}
