#include <criterion/criterion.h>
#include <talloc.h>

#include "executor/run/active_run.h"

static int free_slots, granted;

static bool take(void *arg)
{
    if (free_slots == 0)
        return false;
    free_slots--;
    return true;
}

static void put_back(void *arg)
{
    free_slots++;
}

static void on_granted(void *arg)
{
    granted++;
}

/* The claim held the last free slot when the run asked for one. */
Test(undone_claim, slot_goes_to_the_run_that_waits_for_one)
{
    void *ctx = talloc_new(NULL);
    struct slot_pool pool = {.take = take, .put_back = put_back};
    struct executor exec = {.slots = slots_new(ctx, &pool, 10, 1024, NULL)};
    struct slot waiting = {.slots = exec.slots, .on_granted = on_granted, .held = true};
    struct claimed_run claim = {0};
    slot_detach(&waiting);
    cr_assert_not(slot_acquire(&waiting));
    run_settle_claim(&exec, &claim, ERR_UNAVAILABLE);
    cr_expect_eq(granted, 1);
    cr_expect(waiting.held);
    cr_expect_eq(free_slots, 0);
    talloc_free(ctx);
}
