#include <criterion/criterion.h>
#include <stdint.h>

#include "base/memory_budget.h"

enum { MIB = 1024 * 1024 };

static int rooms;

static void on_room(void *arg)
{
    rooms++;
}

static struct memory_budget make(void)
{
    struct memory_budget b;
    memory_budget_init(&b, 100 * (size_t)MIB);
    b.on_room = on_room;
    return b;
}

Test(memory_budget, admits_what_fits_and_reports_room_for_the_rest_once)
{
    struct memory_budget b = make();
    cr_assert(memory_budget_admit(&b, 50 * MIB));
    cr_assert_not(memory_budget_admit(&b, 30 * MIB), "large holders have three quarters");
    cr_assert(memory_budget_admit(&b, 20 * MIB));
    memory_budget_leave(&b, 20 * MIB);
    cr_assert_eq(rooms, 0, "50 of 75 MiB are in use");
    memory_budget_leave(&b, 50 * MIB);
    cr_assert_eq(rooms, 1);
    cr_assert_eq(memory_budget_used(&b), 0U);
    cr_assert(memory_budget_admit(&b, 30 * MIB));
    memory_budget_leave(&b, 30 * MIB);
    cr_assert_eq(rooms, 1, "nothing was refused since");
}

Test(memory_budget, a_single_holder_is_admitted_whatever_it_needs)
{
    struct memory_budget b = make();
    memory_budget_add(&b, 90 * MIB);
    cr_assert_not(memory_budget_fit(&b, 300 * (size_t)MIB));
    cr_assert(memory_budget_admit(&b, 300 * (size_t)MIB));
    cr_assert_not(memory_budget_admit(&b, 1));
    memory_budget_leave(&b, 300 * (size_t)MIB);
    cr_assert_eq(rooms, 1);
}

Test(memory_budget, large_holders_leave_room_for_small_ones)
{
    struct memory_budget b = make();
    cr_assert(memory_budget_admit(&b, 75 * MIB));
    cr_assert_not(memory_budget_admit(&b, MIB));
    cr_assert(memory_budget_admit(&b, MEMORY_SMALL_BYTES));
}

Test(memory_budget, new_holders_leave_free_what_a_waiting_one_needs_to_continue)
{
    struct memory_budget b = make();
    cr_assert(memory_budget_admit(&b, 40 * MIB));
    memory_budget_suspend(&b, 40 * MIB, MIB);
    cr_assert(memory_budget_admit(&b, 60 * MIB));
    cr_assert_not(memory_budget_resume(&b, MIB, 40 * MIB));
    cr_assert_not(memory_budget_admit(&b, 2 * MIB), "39 MiB are reserved");
    cr_assert_not(memory_budget_admit(&b, MEMORY_SMALL_BYTES));
    memory_budget_leave(&b, 60 * MIB);
    cr_assert(memory_budget_resume(&b, MIB, 40 * MIB));
    cr_assert_eq(memory_budget_used(&b), 40U * MIB);
    cr_assert(memory_budget_admit(&b, 20 * MIB));
    memory_budget_leave(&b, 20 * MIB);
    memory_budget_leave(&b, 40 * MIB);
    cr_assert_eq(memory_budget_used(&b), 0U);
}

Test(memory_budget, a_reservation_can_be_given_up)
{
    struct memory_budget b = make();
    cr_assert(memory_budget_admit(&b, 60 * MIB));
    cr_assert_not(memory_budget_resume(&b, 0, 40 * MIB));
    cr_assert_not(memory_budget_admit(&b, 2 * MIB));
    memory_budget_unreserve(&b);
    cr_assert_eq(rooms, 1);
    cr_assert(memory_budget_admit(&b, 2 * MIB));
}

Test(memory_budget, none_has_no_limit)
{
    cr_assert(memory_budget_admit(NULL, SIZE_MAX));
    memory_budget_leave(NULL, SIZE_MAX);
    cr_assert_not(memory_budget_is_scarce(NULL));
    cr_assert(memory_limit_of_process() > MIB);
}
