#include <criterion/criterion.h>
#include <pthread.h>
#include <talloc.h>

#include "executor/db_thread/claim_intake.h"
#include "executor/db_thread/job.h"

static int announced;

static void count_announcement(void *arg)
{
    announced++;
}

static struct claim_intake *intake_new(void)
{
    announced = 0;
    return claim_intake_new(NULL, count_announcement, NULL);
}

static const id some_ids[QUEUED_IDS_MAX + 10];

Test(claim_intake, announces_ids_once_a_slot_is_free)
{
    struct claim_intake *in = intake_new();
    struct claimables found = {0};
    claim_intake_add_ids(in, some_ids, 3);
    cr_assert_eq(announced, 0);
    cr_assert_not(claim_intake_take(in, &found));
    claim_intake_add_slots(in, 2);
    cr_assert_eq(announced, 1);
    cr_assert(claim_intake_take(in, &found));
    cr_assert_eq(found.ids_n, 3U);
    cr_assert_eq(found.slots, 2);
    cr_assert_not(found.scan);
    cr_assert_not(claim_intake_take(in, &found), "all ids were taken");
    claim_intake_request_scan(in);
    cr_assert_eq(announced, 2);
    cr_assert(claim_intake_take(in, &found));
    cr_assert(found.scan && found.ids_n == 0);
    talloc_free(in);
}

Test(claim_intake, counts_slots_below_zero)
{
    struct claim_intake *in = intake_new();
    struct claimables found = {0};
    claim_intake_add_slots(in, 2);
    cr_assert(claim_intake_take_slot(in));
    claim_intake_take_slots(in, 2); /* claims that were planned before the loop took a slot */
    cr_assert_eq(claim_intake_free_slots(in), -1);
    cr_assert_not(claim_intake_take_slot(in));
    claim_intake_add_ids(in, some_ids, 1);
    claim_intake_add_slots(in, 1);
    cr_assert_not(claim_intake_take(in, &found));
    claim_intake_add_slots(in, 1);
    cr_assert(claim_intake_take(in, &found));
    talloc_free(in);
}

Test(claim_intake, keeps_no_more_ids_than_it_has_room_for)
{
    struct claim_intake *in = intake_new();
    struct claimables found = {0};
    claim_intake_add_slots(in, 1000);
    cr_assert_eq(claim_intake_await_slots(in), (int)COMMIT_BATCH_MAX);
    claim_intake_add_ids(in, some_ids, QUEUED_IDS_MAX + 10);
    cr_assert(claim_intake_take(in, &found));
    cr_assert_eq(found.ids_n, (size_t)QUEUED_IDS_MAX);
    talloc_free(in);
}

static void *await_slots(void *in)
{
    static int slots;
    slots = claim_intake_await_slots(in);
    return &slots;
}

Test(claim_intake, ends_the_wait_for_slots)
{
    struct claim_intake *in = intake_new();
    pthread_t thread;
    void *slots;
    cr_assert_eq(pthread_create(&thread, NULL, await_slots, in), 0);
    claim_intake_end(in);
    pthread_join(thread, &slots);
    cr_assert_eq(*(int *)slots, 0);
    claim_intake_add_slots(in, 5);
    claim_intake_request_scan(in);
    cr_assert_eq(announced, 0, "claims have ended");
    cr_assert_eq(claim_intake_await_slots(in), 0);
    talloc_free(in);
}

Test(claim_intake, gives_a_waiting_thread_the_slots_that_come)
{
    struct claim_intake *in = intake_new();
    pthread_t thread;
    void *slots;
    cr_assert_eq(pthread_create(&thread, NULL, await_slots, in), 0);
    claim_intake_add_slots(in, 5);
    pthread_join(thread, &slots);
    cr_assert_eq(*(int *)slots, 5);
    talloc_free(in);
}
