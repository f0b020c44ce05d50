#define _GNU_SOURCE /* pthread_timedjoin_np */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <talloc.h>
#include <time.h>

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
    claim_intake_add_ids(in, some_ids, 2, 0);
    cr_assert_eq(announced, 0);
    cr_assert_not(claim_intake_take(in, COMMIT_BATCH_MAX, &found));
    claim_intake_add_slots(in, 2);
    cr_assert_eq(announced, 1);
    cr_assert(claim_intake_take(in, COMMIT_BATCH_MAX, &found));
    cr_assert_eq(found.ids_n, 2U);
    cr_assert_eq(found.limit, 2U);
    cr_assert_not(found.scan);
    cr_assert_not(claim_intake_take(in, COMMIT_BATCH_MAX, &found), "all ids were taken");
    claim_intake_request_scan(in);
    cr_assert_eq(announced, 2);
    cr_assert(claim_intake_take(in, COMMIT_BATCH_MAX, &found));
    cr_assert(found.scan && found.scans_anew && found.ids_n == 0);
    claim_intake_continue_scan(in);
    cr_assert(claim_intake_take(in, COMMIT_BATCH_MAX, &found));
    cr_assert(found.scan && !found.scans_anew);
    claim_intake_request_scan(in);
    claim_intake_continue_scan(in);
    cr_assert(claim_intake_take(in, COMMIT_BATCH_MAX, &found));
    cr_assert(found.scan && found.scans_anew, "whoever asks for the oldest runs gets them");
    talloc_free(in);
}

Test(claim_intake, keeps_what_does_not_fit)
{
    struct claim_intake *in = intake_new();
    struct claimables found = {0};
    id ids[5];
    for (size_t i = 0; i < 5; i++)
        ids[i] = id_new();
    claim_intake_add_ids(in, ids, 5, 0);
    claim_intake_request_scan(in);
    claim_intake_add_slots(in, 2);
    cr_assert_not(claim_intake_take(in, 0, &found), "a full batch takes nothing");
    cr_assert(claim_intake_take(in, COMMIT_BATCH_MAX, &found));
    cr_assert(found.ids_n == 2 && found.scan && found.limit == 2);
    cr_assert(id_equal(&found.ids[0], &ids[0]), "the oldest first");
    cr_assert(claim_intake_has_work(in), "three ids are left");
    cr_assert(claim_intake_take(in, 1, &found));
    cr_assert(found.ids_n == 1 && !found.scan && id_equal(&found.ids[0], &ids[2]));
    claim_intake_take_slots(in, 2);
    cr_assert_not(claim_intake_has_work(in), "no slot is free");
    claim_intake_add_slots(in, 10);
    cr_assert(claim_intake_take(in, COMMIT_BATCH_MAX, &found));
    cr_assert(found.ids_n == 2 && id_equal(&found.ids[1], &ids[4]));
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
    claim_intake_add_ids(in, some_ids, 1, 0);
    claim_intake_add_slots(in, 1);
    cr_assert_not(claim_intake_take(in, COMMIT_BATCH_MAX, &found));
    claim_intake_add_slots(in, 1);
    cr_assert(claim_intake_take(in, COMMIT_BATCH_MAX, &found));
    talloc_free(in);
}

Test(claim_intake, keeps_no_more_ids_than_it_has_room_for)
{
    struct claim_intake *in = intake_new();
    struct claimables found = {0};
    claim_intake_add_slots(in, 1000);
    cr_assert_eq(claim_intake_await_slots(in), (int)COMMIT_BATCH_MAX);
    claim_intake_add_ids(in, some_ids, QUEUED_IDS_MAX + 10, 0);
    cr_assert(claim_intake_take(in, COMMIT_BATCH_MAX, &found));
    cr_assert_eq(found.ids_n, (size_t)COMMIT_BATCH_MAX);
    size_t n = found.ids_n;
    while (claim_intake_take(in, COMMIT_BATCH_MAX, &found))
        n += found.ids_n;
    cr_assert_eq(n, (size_t)QUEUED_IDS_MAX);
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

Test(claim_intake, takes_no_ids_from_redis_while_it_claims)
{
    struct claim_intake *in = intake_new();
    struct claimables found = {0};
    pthread_t thread;
    void *slots;
    claim_intake_add_slots(in, 100);
    claim_intake_add_ids(in, some_ids, 1, 0);
    cr_assert(claim_intake_take(in, COMMIT_BATCH_MAX, &found));
    cr_assert_eq(pthread_create(&thread, NULL, await_slots, in), 0);
    claim_intake_add_slots(in, 1); /* would end the wait otherwise */
    struct timespec soon;
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_sec += soon.tv_nsec / 950000000;
    soon.tv_nsec = (soon.tv_nsec + 50000000) % 1000000000;
    cr_assert_eq(pthread_timedjoin_np(thread, &slots, &soon), ETIMEDOUT);
    claim_intake_take_slots(in, 60);
    claim_intake_open(in);
    pthread_join(thread, &slots);
    cr_assert_eq(*(int *)slots, 41);
    talloc_free(in);
}

Test(claim_intake, drops_ids_of_either_kind_when_it_is_full)
{
    struct claim_intake *in = intake_new();
    struct claimables found = {0};
    size_t n = 0, short_n = 0;
    claim_intake_add_slots(in, 1000);
    claim_intake_add_ids(in, some_ids, QUEUED_IDS_MAX - 2, 0);
    claim_intake_add_ids(in, some_ids, 8, 4);
    for (; claim_intake_take(in, COMMIT_BATCH_MAX, &found); n += found.ids_n)
        short_n += found.short_n;
    cr_expect(n == QUEUED_IDS_MAX && short_n == 2, "%zu, %zu", n, short_n);
    talloc_free(in);
}

Test(claim_intake, gives_few_ids_of_short_lists_a_transaction_of_their_own)
{
    struct claim_intake *in = intake_new();
    struct claimables found = {0};
    id ids[20];
    for (size_t i = 0; i < 20; i++)
        ids[i] = id_new();
    claim_intake_add_slots(in, 100);
    claim_intake_add_ids(in, ids, 3, 0);
    claim_intake_add_ids(in, ids + 3, 5, 2);
    claim_intake_request_scan(in);
    cr_assert(claim_intake_take(in, COMMIT_BATCH_MAX, &found));
    cr_expect(found.ids_n == 2 && found.limit == 2 && found.short_n == 2 && !found.scan, "%zu ids",
              found.ids_n);
    cr_expect(id_equal(&found.ids[0], &ids[3]) && id_equal(&found.ids[1], &ids[4]));
    claim_intake_add_ids(in, ids + 8, 1, 1);
    cr_assert(claim_intake_take(in, COMMIT_BATCH_MAX, &found), "the others have their turn");
    cr_expect(found.ids_n == 7 && found.limit == COMMIT_BATCH_MAX && found.scan && found.scans_anew);
    cr_expect_eq(found.short_n, 1U);
    cr_expect(id_equal(&found.ids[0], &ids[8]) && id_equal(&found.ids[1], &ids[0]) &&
              id_equal(&found.ids[6], &ids[7]));
    claim_intake_add_ids(in, ids, 4, 4);
    cr_assert(claim_intake_take(in, COMMIT_BATCH_MAX, &found));
    cr_expect(found.ids_n == 4 && found.limit == COMMIT_BATCH_MAX, "there is nothing else");
    claim_intake_add_ids(in, ids, 20, 17);
    cr_assert(claim_intake_take(in, COMMIT_BATCH_MAX, &found));
    cr_expect_eq(found.ids_n, 20U, "seventeen are not few");
    claim_intake_request_scan(in);
    claim_intake_add_ids(in, ids, 2, 2);
    cr_assert(claim_intake_take(in, COMMIT_BATCH_MAX, &found));
    cr_expect(found.scan && found.limit == COMMIT_BATCH_MAX, "the scan of each second is no backlog");
    claim_intake_continue_scan(in);
    claim_intake_add_ids(in, ids, 2, 2);
    cr_assert(claim_intake_take(in, 1, &found));
    cr_expect(found.ids_n == 1 && found.limit == 1 && !found.scan);
    cr_assert(claim_intake_take(in, COMMIT_BATCH_MAX, &found));
    cr_expect(found.ids_n == 1 && found.short_n == 1 && found.scan && !found.scans_anew);
    talloc_free(in);
}

static size_t next_limit(struct claim_intake *in)
{
    struct claimables found = {0};
    claim_intake_request_scan(in);
    cr_assert(claim_intake_take(in, COMMIT_BATCH_MAX, &found));
    return found.limit;
}

Test(claim_intake, slow_transactions_claim_fewer_runs)
{
    struct claim_intake *in = intake_new();
    claim_intake_add_slots(in, 1000);
    cr_expect_eq(next_limit(in), (size_t)COMMIT_BATCH_MAX);
    for (int i = 0; i < 30; i++) {
        size_t n = next_limit(in);
        claim_intake_note_claims(in, n, (int64_t)n * 1000);
    }
    size_t last = next_limit(in); /* may be one that tries a larger size */
    claim_intake_note_claims(in, last, (int64_t)last * 1000);
    cr_expect_geq(next_limit(in), 14U);
    cr_expect_leq(next_limit(in), 18U);
    for (int i = 0; i < 30; i++)
        claim_intake_note_claims(in, next_limit(in), 1000000);
    cr_expect_eq(next_limit(in), 8U);
    claim_intake_note_claims(in, 1, 100000);
    cr_expect_eq(next_limit(in), 8U, "a few claims say nothing");
    for (int i = 0; i < 30; i++) {
        size_t n = next_limit(in);
        claim_intake_note_claims(in, n, (int64_t)n * 100);
    }
    cr_expect_eq(next_limit(in), (size_t)COMMIT_BATCH_MAX);
    talloc_free(in);
}

Test(claim_intake, hands_out_a_request_for_wakes_once)
{
    struct claim_intake *in = intake_new();
    struct claimables found = {0};
    claim_intake_request_wakes(in);
    cr_assert_not(claim_intake_has_work(in), "no slot is free");
    claim_intake_add_slots(in, 3);
    cr_assert(announced == 1 && claim_intake_has_work(in));
    cr_assert(claim_intake_take(in, COMMIT_BATCH_MAX, &found));
    cr_assert(found.wakes && !found.scan && found.ids_n == 0 && found.limit == 3);
    cr_assert_not(claim_intake_has_work(in));
    claim_intake_add_ids(in, some_ids, 1, 0);
    cr_assert(claim_intake_take(in, COMMIT_BATCH_MAX, &found));
    cr_assert(!found.wakes && found.ids_n == 1);
    talloc_free(in);
}

Test(claim_intake, claims_no_more_than_the_pace_allows)
{
    struct claim_intake *in = intake_new();
    struct claimables found = {0};
    claim_intake_add_slots(in, 20);
    claim_intake_add_ids(in, some_ids, 10, 0);
    claim_intake_allow(in, 3);
    cr_assert(claim_intake_take(in, COMMIT_BATCH_MAX, &found));
    cr_assert(found.limit == 3 && found.ids_n == 3);
    claim_intake_count_claims(in, 2, 70);
    claim_intake_count_claims(in, 1, 40);
    cr_assert_not(claim_intake_has_work(in), "the allowance is used up");
    cr_assert_not(claim_intake_take(in, COMMIT_BATCH_MAX, &found));
    int64_t oldest_ms;
    cr_assert_eq(claim_intake_take_claimed(in, &oldest_ms), 3);
    cr_assert_eq(oldest_ms, 70);
    cr_assert_eq(claim_intake_take_claimed(in, &oldest_ms), 0);
    cr_assert_eq(oldest_ms, 0);
    int before = announced;
    claim_intake_allow(in, -1);
    cr_assert_eq(announced, before + 1, "seven ids are left");
    cr_assert(claim_intake_take(in, COMMIT_BATCH_MAX, &found));
    cr_assert(found.limit == 20 && found.ids_n == 7);
    talloc_free(in);
}

/* Times of transactions of many sizes, as a backlog and a busy machine cause them. */
static size_t limit_after(struct claim_intake *in, int64_t fixed_us, int64_t each_us)
{
    for (size_t i = 0; i < 60; i++) {
        size_t n = i % 3 == 0 ? 1 + i % 7 : next_limit(in);
        claim_intake_note_claims(in, n, fixed_us + (int64_t)n * each_us);
    }
    return next_limit(in);
}

Test(claim_intake, claims_enough_to_be_worth_a_transaction)
{
    struct claim_intake *in = intake_new();
    claim_intake_add_slots(in, COMMIT_BATCH_MAX);
    size_t busy = limit_after(in, 60000, 3000);
    cr_expect(busy >= 18 && busy <= 24, "%zu: the part of all is 60 of 120 ms", busy);
    size_t flush = limit_after(in, 12000, 200);
    cr_expect(flush >= 52 && flush <= 62, "%zu: 12 / 0.2", flush);
    size_t quick = limit_after(in, 3000, 240);
    cr_expect(quick >= 46 && quick <= 54, "%zu: (15 - 3) / 0.24", quick);
    cr_expect_eq(limit_after(in, 1000, 5000), 8U, "slow runs are not gathered");
    talloc_free(in);
}

Test(claim_intake, claims_fewer_while_short_lists_have_runs_beside_others)
{
    struct claim_intake *in = intake_new();
    struct claimables found = {0};
    claim_intake_add_slots(in, 1000);
    size_t before = limit_after(in, 2000, 300);
    cr_expect(before >= 40 && before <= 46, "%zu: (15 - 2) / 0.3", before);
    for (int i = 0; i < 40; i++) {
        claim_intake_add_ids(in, some_ids, 2, 1);
        cr_assert(claim_intake_take(in, COMMIT_BATCH_MAX, &found) && found.limit == 1);
        claim_intake_note_claims(in, 1, 2300);
        cr_assert(claim_intake_take(in, COMMIT_BATCH_MAX, &found));
        if (i == 0)
            cr_expect_leq(found.limit, 15U, "the next one is smaller at once");
        claim_intake_note_claims(in, found.limit, 2000 + (int64_t)found.limit * 300);
    }
    cr_expect(found.limit >= 12 && found.limit <= 15, "%zu: (6 - 2) / 0.3", found.limit);
    (void)limit_after(in, 2000, 300);
    size_t after = limit_after(in, 2000, 300);
    cr_expect(after >= 40 && after <= 46, "%zu, once the short lists have nothing more", after);
    talloc_free(in);
}

/* `transactions` that claim as many runs as they may. Returns the largest of the last four limits. */
static size_t largest_limit_after(struct claim_intake *in, int transactions, int64_t fixed_us,
                                  int64_t each_us)
{
    size_t largest = 0;
    for (int i = 0; i < transactions; i++) {
        size_t n = next_limit(in);
        claim_intake_note_claims(in, n, fixed_us + (int64_t)n * each_us);
        if (i >= transactions - 4 && n > largest)
            largest = n;
    }
    return largest;
}

/* By transactions of one size alone, each run of 8 seems to take 8 ms, and 8 seem too many already. */
Test(claim_intake, leaves_the_smallest_size_when_larger_ones_cost_little_more)
{
    struct claim_intake *in = intake_new();
    claim_intake_add_slots(in, COMMIT_BATCH_MAX);
    for (int i = 0; i < 12; i++)
        claim_intake_note_claims(in, 8, 1000000);
    cr_assert_eq(next_limit(in), 8U);
    size_t size = largest_limit_after(in, 400, 60000, 1500);
    cr_expect_geq(size, 30U, "%zu of 60 / 1.5", size);
    talloc_free(in);
}

Test(claim_intake, tries_a_larger_size_ever_more_rarely_while_it_is_not_worth_it)
{
    struct claim_intake *in = intake_new();
    size_t larger = 0, transactions = 600;
    claim_intake_add_slots(in, COMMIT_BATCH_MAX);
    for (int i = 0; i < 12; i++)
        claim_intake_note_claims(in, 8, 1000000);
    for (size_t i = 0; i < transactions; i++) {
        size_t n = next_limit(in);
        cr_assert(n == 8 || n == 12, "%zu", n);
        larger += n > 8;
        claim_intake_note_claims(in, n, (int64_t)n * 5000);
    }
    cr_expect(larger >= 2 && larger <= 6, "%zu", larger);
    talloc_free(in);
}

Test(claim_intake, is_idle_without_anything_to_claim_and_with_slots_for_it)
{
    struct claim_intake *in = intake_new();
    struct claimables found = {0};
    cr_assert_not(claim_intake_is_idle(in), "no slot is free");
    claim_intake_add_slots(in, COMMIT_BATCH_MAX / 2 - 1);
    cr_assert_not(claim_intake_is_idle(in));
    claim_intake_add_slots(in, 1);
    cr_assert(claim_intake_is_idle(in));
    claim_intake_request_scan(in);
    cr_assert(claim_intake_is_idle(in), "each process scans once a second");
    cr_assert(claim_intake_take(in, COMMIT_BATCH_MAX, &found));
    claim_intake_continue_scan(in);
    cr_assert_not(claim_intake_is_idle(in), "the scan before has filled its places");
    cr_assert(claim_intake_take(in, COMMIT_BATCH_MAX, &found));
    claim_intake_add_ids(in, some_ids, 1, 0);
    cr_assert_not(claim_intake_is_idle(in));
    cr_assert(claim_intake_take(in, COMMIT_BATCH_MAX, &found));
    claim_intake_allow(in, COMMIT_BATCH_MAX / 4);
    cr_assert_not(claim_intake_is_idle(in), "the pace does not allow so many");
    claim_intake_allow(in, -1);
    claim_intake_end(in);
    cr_assert_not(claim_intake_is_idle(in));
    talloc_free(in);
}
