/* Counts by cell; taken once, and put into the bucket whose bound is the first that is not below them. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/tally.h"

struct taken {
    int n;
    struct {
        int measure, kind, place, reason;
        unsigned long long n, sum;
    } cells[32];
};

static void take(void *arg, enum tally_measure measure, int kind, int place, int reason, unsigned long long n,
                 unsigned long long sum)
{
    struct taken *t = arg;
    cr_assert(t->n < 32);
    t->cells[t->n].measure = (int)measure;
    t->cells[t->n].kind = kind;
    t->cells[t->n].place = place;
    t->cells[t->n].reason = reason;
    t->cells[t->n].n = n;
    t->cells[t->n++].sum = sum;
}

Test(tally, counts_what_was_added_and_gives_it_once)
{
    struct taken t = {0};
    tally_add(MEASURE_ENDS, 2, 5, 31, 1, 0);
    tally_add(MEASURE_MONEY, 1, 0, 0, 2, 5000000000LL);
    tally_add(MEASURE_MONEY, 1, 0, 0, 1, 7);
    tally_take_all(take, &t);
    cr_assert_eq(t.n, 2);
    cr_expect(t.cells[0].measure == MEASURE_ENDS && t.cells[0].kind == 2 && t.cells[0].place == 5 &&
              t.cells[0].reason == 31 && t.cells[0].n == 1);
    cr_expect(t.cells[1].measure == MEASURE_MONEY && t.cells[1].n == 3 && t.cells[1].sum == 5000000007ULL);
    t.n = 0;
    tally_take_all(take, &t);
    cr_expect_eq(t.n, 0);
}

Test(tally, puts_a_time_into_its_bucket)
{
    static const struct {
        enum tally_measure measure;
        int64_t time;
        int bucket;
    } cases[] = {{MEASURE_RUNNING, -5, 0},    {MEASURE_RUNNING, 2, 0},        {MEASURE_RUNNING, 3, 1},
                 {MEASURE_STEP, 3600000, 14}, {MEASURE_STEP, 3600001, 15},    {MEASURE_COMMIT, 100, 0},
                 {MEASURE_COMMIT, 101, 1},    {MEASURE_COMMIT, 10000000, 14}, {MEASURE_COMMIT, 10000001, 15}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct taken t = {0};
        tally_time(cases[i].measure, 1, 0, cases[i].time);
        tally_take_all(take, &t);
        cr_assert_eq(t.n, 1, "%zu", i);
        cr_expect_eq(t.cells[0].place, cases[i].bucket, "%zu: bucket %d", i, t.cells[0].place);
        cr_expect_eq(t.cells[0].sum, (unsigned long long)(cases[i].time > 0 ? cases[i].time : 0));
    }
}

Test(tally, leaves_out_cells_that_do_not_exist)
{
    struct taken t = {0};
    tally_add(MEASURE_ENDS, -1, 0, 0, 1, 0);
    tally_add(MEASURE_ENDS, 3, 0, 0, 1, 0);
    tally_add(MEASURE_ENDS, 0, 16, 0, 1, 0);
    tally_add(MEASURE_ENDS, 0, 0, 32, 1, 0);
    tally_add(MEASURE_MONEY, 8, 0, 0, 1, 0);
    tally_add(MEASURE_STEP, 16, 0, 1, 1, 0);
    tally_add((enum tally_measure)0, 0, 0, 0, 1, 0);
    tally_take_all(take, &t);
    cr_expect_eq(t.n, 0);
}

/* The last cell of each measure is its own: none runs into the next one. */
Test(tally, keeps_the_measures_apart)
{
    struct taken t = {0};
    tally_add(MEASURE_ENDS, 2, 15, 31, 1, 0);
    tally_add(MEASURE_QUEUED, 2, 15, 0, 2, 0);
    tally_add(MEASURE_RUNNING, 2, 15, 0, 3, 0);
    tally_add(MEASURE_STEP, 15, 15, 2, 4, 0);
    tally_add(MEASURE_WEBHOOK, 2, 15, 0, 5, 0);
    tally_add(MEASURE_MONEY, 7, 0, 0, 6, 0);
    tally_add(MEASURE_COMMIT, 2, 15, 0, 7, 0);
    tally_take_all(take, &t);
    cr_assert_eq(t.n, 7);
    for (int i = 0; i < 7; i++)
        cr_expect(t.cells[i].measure == i + 1 && t.cells[i].n == (unsigned long long)i + 1);
}

Test(tally, counts_into_shared_memory)
{
    static struct tally shared;
    struct taken t = {0};
    tally_share(&shared, TALLY_API);
    tally_commit(5);
    tally_share(NULL, TALLY_EXECUTOR);
    tally_take_all(take, &t);
    cr_expect_eq(t.n, 0, "counted into this process");
    tally_share(&shared, TALLY_EXECUTOR);
    tally_take_all(take, &t);
    cr_expect(t.n == 1 && t.cells[0].kind == TALLY_API && t.cells[0].measure == MEASURE_COMMIT);
}
