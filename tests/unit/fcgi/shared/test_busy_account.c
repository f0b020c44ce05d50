#include <criterion/criterion.h>
#include <pthread.h>

#include "base/clock.h"
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

static void wait_since(struct busy_account *own, uint64_t workspace, int64_t since_ms)
{
    own->waits_since_ms = since_ms;
    own->waits_for = workspace;
}

Test(busy_account, the_first_is_the_one_that_has_waited_longest_for_the_account)
{
    struct busy_account records[WORKERS] = {0};
    cr_expect_eq(busy_account_first(records, WORKERS, A), WORKERS);
    wait_since(&records[0], A, 1200);
    wait_since(&records[1], B, 1000);
    wait_since(&records[2], A, 1100);
    cr_expect_eq(busy_account_first(records, WORKERS, A), 2);
    records[2].waits_for = 0;
    cr_expect_eq(busy_account_first(records, WORKERS, A), 0);
}

Test(busy_account, an_offer_before_the_pause_ends_it_at_once)
{
    struct busy_account own = {0};
    uint32_t offers = own.offers;
    busy_account_offer(&own);
    int64_t began_ms = clock_boot_ms();
    busy_account_pause(&own, offers, 900);
    cr_expect_lt(clock_boot_ms() - began_ms, 500);
}

static void *offer_until_told(void *arg)
{
    struct busy_account *own = arg;
    while (own->waits_for)
        busy_account_offer(own);
    return NULL;
}

Test(busy_account, an_offer_ends_the_pause_of_the_worker)
{
    struct busy_account own = {0};
    pthread_t thread;
    int64_t began_ms = clock_boot_ms();
    own.waits_for = A;
    pthread_create(&thread, NULL, offer_until_told, &own);
    for (int i = 0; i < 20; i++) /* 18 s without the offers */
        busy_account_pause(&own, own.offers, 900);
    own.waits_for = 0;
    pthread_join(thread, NULL);
    cr_expect_lt(clock_boot_ms() - began_ms, 9000);
}

Test(busy_account, without_an_offer_the_pause_has_an_end)
{
    struct busy_account own = {0};
    busy_account_pause(&own, own.offers, 1);
}
