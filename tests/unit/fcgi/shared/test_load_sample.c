#include <criterion/criterion.h>
#include <stdlib.h>

#include "fcgi/shared/load_sample.h"

static struct load_sample *sample;

static void make(void)
{
    sample = calloc(1, sizeof *sample);
}

static void drop(void)
{
    free(sample);
}

TestSuite(load_sample, .init = make, .fini = drop);

static struct load_numbers some(int64_t queued)
{
    return (struct load_numbers){
        .load.queued = queued, .workspaces_n = 1, .workspaces[0] = {.id = "a", .queued = queued}};
}

Test(load_sample, has_what_was_put_and_its_age)
{
    struct load_numbers got, put = some(7);
    int64_t age_ms;
    cr_assert_not(load_sample_get(sample, 1000, &got, &age_ms), "there is none yet");
    cr_assert(load_sample_begin(sample, 1000));
    cr_assert_not(load_sample_begin(sample, 1001), "one worker counts");
    load_sample_put(sample, 1000, 3000, &put);
    cr_assert(load_sample_get(sample, 5000, &got, &age_ms));
    cr_assert_eq(got.load.queued, 7);
    cr_assert_eq(got.workspaces[0].queued, 7);
    cr_assert_eq(age_ms, 2000);
    cr_assert(load_sample_get(sample, 3000 + LOAD_SAMPLE_OLD_MS - 1, &got, &age_ms));
    cr_assert_not(load_sample_get(sample, 3000 + LOAD_SAMPLE_OLD_MS, &got, &age_ms), "it is too old");
    cr_assert_not(load_sample_begin(sample, 3000 + LOAD_SAMPLE_EVERY_MS - 1), "too early");
    cr_assert(load_sample_begin(sample, 3000 + LOAD_SAMPLE_EVERY_MS));
}

Test(load_sample, a_worker_that_fails_or_dies_blocks_nobody)
{
    struct load_numbers got, put = some(7), late = some(9);
    int64_t age_ms;
    cr_assert(load_sample_begin(sample, 1000));
    load_sample_give_up(sample, 1000);
    cr_assert(load_sample_begin(sample, 1001));
    cr_assert_not(load_sample_begin(sample, 1001 + LOAD_SAMPLE_LOST_MS - 1));
    cr_assert(load_sample_begin(sample, 1001 + LOAD_SAMPLE_LOST_MS), "it is taken for dead");
    load_sample_put(sample, 1001 + LOAD_SAMPLE_LOST_MS, 100000, &put);
    load_sample_put(sample, 1001, 100001, &late);
    cr_assert(load_sample_get(sample, 100001, &got, &age_ms));
    cr_assert_eq(got.load.queued, 7, "the late one is ignored");
    load_sample_give_up(sample, 1001);
    atomic_fetch_add(&sample->version, 1); /* it died while it wrote */
    cr_assert_not(load_sample_get(sample, 100001, &got, &age_ms));
    cr_assert(load_sample_begin(sample, 200000));
    load_sample_put(sample, 200000, 200001, &late);
    cr_assert(load_sample_get(sample, 200001, &got, &age_ms));
    cr_assert_eq(got.load.queued, 9);
}
