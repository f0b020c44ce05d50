#include <criterion/criterion.h>
#include <talloc.h>

#include "executor/run/slots.h"

enum { RUNS = 4, MAX_BYTES = 1000, MEMORY_MAX = 1000000 };

struct slots_fixture {
    void *ctx;
    int free; /* slots in the pool */
    struct memory_budget memory;
    struct slots *slots;
    struct slot runs[RUNS];
    int granted[RUNS]; /* how often on_granted was called */
    struct slot *leaves_when_granted;
};

static struct slots_fixture *fixture;

static bool take(void *arg)
{
    struct slots_fixture *f = arg;
    if (f->free == 0)
        return false;
    f->free--;
    return true;
}

static void put_back(void *arg)
{
    ((struct slots_fixture *)arg)->free++;
}

static void on_granted(void *arg)
{
    struct slot *slot = arg;
    fixture->granted[slot - fixture->runs]++;
    if (slot != fixture->leaves_when_granted)
        return;
    slot_leave(slot);
    slots_serve(fixture->slots);
}

/* All runs hold a slot, and the pool is empty, as after a claim of `RUNS` runs. */
static struct slots_fixture *make_fixture(int64_t max_yielded)
{
    void *ctx = talloc_new(NULL);
    struct slots_fixture *f = fixture = talloc_zero(ctx, struct slots_fixture);
    struct slot_pool pool = {.take = take, .put_back = put_back, .arg = f};
    f->ctx = ctx;
    memory_budget_init(&f->memory, MEMORY_MAX);
    f->memory.holders = RUNS;
    f->slots = slots_new(ctx, &pool, max_yielded, MAX_BYTES, &f->memory);
    for (int i = 0; i < RUNS; i++)
        f->runs[i] =
            (struct slot){.slots = f->slots, .on_granted = on_granted, .arg = &f->runs[i], .held = true};
    return f;
}

Test(slots, a_yielded_slot_can_be_acquired_again_at_once)
{
    struct slots_fixture *f = make_fixture(10);
    slot_yield(&f->runs[0]);
    cr_assert(!f->runs[0].held && f->free == 1);
    cr_assert(slot_acquire(&f->runs[0]));
    cr_assert(slot_acquire(&f->runs[0]), "it is held already");
    cr_assert(f->free == 0 && f->granted[0] == 0);
    talloc_free(f->ctx);
}

Test(slots, runs_are_served_in_the_order_in_which_they_asked)
{
    struct slots_fixture *f = make_fixture(10);
    slot_yield(&f->runs[0]);
    slot_yield(&f->runs[1]);
    f->free = 0; /* new claims took both */
    cr_assert_not(slot_acquire(&f->runs[1]));
    cr_assert_not(slot_acquire(&f->runs[0]));
    cr_assert_not(slot_acquire(&f->runs[0]), "asking again does not queue twice");
    slot_yield(&f->runs[2]);
    cr_assert(f->granted[1] == 1 && f->granted[0] == 0 && f->free == 0);
    slot_yield(&f->runs[3]);
    cr_assert(f->granted[0] == 1 && f->granted[1] == 1 && f->free == 0);
    cr_assert(f->runs[0].held && f->runs[1].held);
    talloc_free(f->ctx);
}

Test(slots, nobody_overtakes_the_queue)
{
    struct slots_fixture *f = make_fixture(10);
    slot_yield(&f->runs[0]);
    slot_yield(&f->runs[1]);
    f->free = 0;
    cr_assert_not(slot_acquire(&f->runs[0]));
    f->free = 1; /* returned by the database thread, and not served yet */
    cr_assert_not(slot_acquire(&f->runs[1]));
    slots_serve(f->slots);
    cr_assert(f->runs[0].held && !f->runs[1].held);
    talloc_free(f->ctx);
}

Test(slots, no_more_than_max_yielded_runs_yield)
{
    struct slots_fixture *f = make_fixture(1);
    slot_yield(&f->runs[0]);
    slot_yield(&f->runs[1]);
    cr_assert(f->runs[1].held && f->free == 1);
    slot_leave(&f->runs[0]); /* it waits no longer */
    cr_assert_eq(f->free, 1, "it held no slot");
    slot_yield(&f->runs[1]);
    cr_assert(!f->runs[1].held && f->free == 2);
    talloc_free(f->ctx);
}

Test(slots, a_detached_slot_stays_occupied_until_it_is_returned)
{
    struct slots_fixture *f = make_fixture(10);
    slot_detach(&f->runs[0]);
    slot_leave(&f->runs[0]);
    cr_assert_eq(f->free, 0);
    slot_yield(&f->runs[1]);
    f->free = 0;
    cr_assert_not(slot_acquire(&f->runs[1]));
    slots_return_detached(f->slots);
    cr_assert(f->runs[1].held && f->free == 0);
    talloc_free(f->ctx);
}

Test(slots, a_run_that_ends_when_it_is_granted_a_slot_passes_it_on)
{
    struct slots_fixture *f = make_fixture(10);
    slot_yield(&f->runs[0]);
    slot_yield(&f->runs[1]);
    f->free = 0;
    f->leaves_when_granted = &f->runs[0];
    cr_assert_not(slot_acquire(&f->runs[0]));
    cr_assert_not(slot_acquire(&f->runs[1]));
    slot_leave(&f->runs[2]);
    slots_serve(f->slots);
    cr_assert(f->granted[0] == 1 && f->granted[1] == 1 && f->runs[1].held && f->free == 0);
    talloc_free(f->ctx);
}

Test(slots, a_run_that_ends_in_the_queue_is_not_granted_a_slot)
{
    struct slots_fixture *f = make_fixture(10);
    slot_yield(&f->runs[0]);
    f->free = 0;
    cr_assert_not(slot_acquire(&f->runs[0]));
    slot_leave(&f->runs[0]);
    slot_leave(&f->runs[1]);
    slots_serve(f->slots);
    cr_assert(f->granted[0] == 0 && f->free == 1);
    talloc_free(f->ctx);
}

Test(slots, a_slot_is_kept_where_waiting_runs_would_take_too_much_memory)
{
    struct slots_fixture *f = make_fixture(10);
    for (int i = 0; i < 3; i++) {
        f->runs[i].waiting_bytes = 400;
        slot_yield(&f->runs[i]);
    }
    cr_assert(!f->runs[0].held && !f->runs[1].held && f->runs[2].held);
    cr_assert(slots_bytes(f->slots) == 800 && slots_memory_is_scarce(f->slots));
    slot_leave(&f->runs[0]);
    cr_assert(slots_bytes(f->slots) == 400 && !slots_memory_is_scarce(f->slots));
    slot_yield(&f->runs[2]);
    cr_assert_not(f->runs[2].held);
    cr_assert(slot_acquire(&f->runs[1]));
    cr_assert(slot_acquire(&f->runs[2]));
    cr_assert_eq(slots_bytes(f->slots), 0U);
    talloc_free(f->ctx);
}

/* A response that waits for a slot. */
Test(slots, what_a_run_receives_while_it_has_no_slot_is_counted)
{
    struct slots_fixture *f = make_fixture(10);
    slot_add_bytes(&f->runs[1], 300);
    cr_assert_eq(slots_bytes(f->slots), 0U, "it has a slot");
    f->runs[0].waiting_bytes = 400;
    slot_yield(&f->runs[0]);
    slot_add_bytes(&f->runs[0], 300);
    cr_assert_eq(slots_bytes(f->slots), 700U);
    cr_assert(slots_memory_is_scarce(f->slots));
    cr_assert(slot_acquire(&f->runs[0]));
    cr_assert_eq(slots_bytes(f->slots), 0U);
    talloc_free(f->ctx);
}

static void expect_used(struct slots_fixture *f, size_t bytes)
{
    cr_expect_eq(memory_budget_used(&f->memory), bytes, "%zu bytes", memory_budget_used(&f->memory));
}

Test(slots, a_run_that_continues_waits_for_memory_and_is_served_when_another_ends)
{
    struct slots_fixture *f = make_fixture(10);
    slot_raise_bytes(&f->runs[0], 500000);
    slot_raise_bytes(&f->runs[0], 400000);
    expect_used(f, 500000);
    f->runs[0].held_bytes = f->runs[0].bytes;
    f->runs[0].waiting_bytes = 100;
    slot_yield(&f->runs[0]);
    slot_raise_bytes(&f->runs[0], 600000);
    expect_used(f, 100);
    slot_raise_bytes(&f->runs[1], 600000);
    cr_assert_not(slot_acquire(&f->runs[0]));
    cr_assert_eq(f->free, 1, "a slot is free, and no memory");
    slot_leave(&f->runs[1]);
    slots_serve(f->slots);
    cr_assert(f->granted[0] == 1 && f->runs[0].held && f->free == 1);
    expect_used(f, 500000);
    slot_leave(&f->runs[0]);
    expect_used(f, 0);
    talloc_free(f->ctx);
}
