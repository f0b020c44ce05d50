#include <criterion/criterion.h>
#include <stdio.h>
#include <talloc.h>

#include "base/clock.h"
#include "executor/io/spawn_limiter.h"

static int calls;

static void on_admitted(void *arg)
{
    calls++;
    *(int *)arg = calls;
}

struct limiter_fixture {
    void *ctx;
    struct timers *timers;
    struct spawn_limiter *limiter;
    struct spawn_ticket tickets[4];
    int order[4]; /* 0: not called */
};

static struct limiter_fixture *make_fixture(int width)
{
    void *ctx = talloc_new(NULL);
    struct limiter_fixture *l = talloc_zero(ctx, struct limiter_fixture);
    l->ctx = ctx;
    l->timers = timers_new(ctx, NULL);
    l->limiter = spawn_limiter_new(ctx, l->timers, width);
    calls = 0;
    for (int i = 0; i < 4; i++) {
        l->tickets[i] = (struct spawn_ticket){.on_granted = on_admitted, .arg = &l->order[i]};
        spawn_limiter_acquire(l->limiter, &l->tickets[i]);
    }
    return l;
}

Test(spawn_limiter, admits_in_order_up_to_the_width)
{
    struct limiter_fixture *l = make_fixture(2);
    cr_assert(l->order[0] == 1 && l->order[1] == 2 && l->order[2] == 0 && l->order[3] == 0);
    spawn_limiter_release(&l->tickets[1]);
    cr_assert(l->order[2] == 3 && l->order[3] == 0);
    spawn_limiter_release(&l->tickets[1]); /* a second release has no effect */
    cr_assert(l->order[3] == 0);
    spawn_limiter_release(&l->tickets[0]);
    cr_assert(l->order[3] == 4);
    talloc_free(l->ctx);
}

Test(spawn_limiter, a_cancelled_ticket_leaves_the_queue)
{
    struct limiter_fixture *l = make_fixture(1);
    spawn_limiter_release(&l->tickets[3]); /* the last in the queue */
    spawn_limiter_release(&l->tickets[1]); /* one in the middle */
    spawn_limiter_acquire(l->limiter, &l->tickets[1]);
    spawn_limiter_release(&l->tickets[0]);
    cr_assert(l->order[2] == 2 && l->order[1] == 0 && l->order[3] == 0);
    spawn_limiter_release(&l->tickets[2]);
    cr_assert(l->order[1] == 3 && l->order[3] == 0);
    talloc_free(l->ctx);
}

static id workspace_named(const char *name)
{
    id workspace = {0};
    snprintf(workspace.text, sizeof workspace.text, "%s", name);
    return workspace;
}

/* All tickets of the fixture are of one workspace. */
static void acquire_for(struct limiter_fixture *l, struct spawn_ticket *ticket, const char *workspace,
                        int *order)
{
    *ticket = (struct spawn_ticket){
        .workspace = workspace_named(workspace), .on_granted = on_admitted, .arg = order};
    spawn_limiter_acquire(l->limiter, ticket);
}

Test(spawn_limiter, a_start_that_is_overdue_holds_up_only_its_own_workspace)
{
    struct limiter_fixture *l = make_fixture(1);
    struct spawn_ticket b[3];
    int order[3] = {0}, again = 0;
    for (int i = 0; i < 3; i++)
        acquire_for(l, &b[i], "b", &order[i]);
    cr_assert(order[0] == 2 && order[1] == 0, "one more than the limit");
    timers_run(l->timers, clock_boot_ms() - 1);
    spawn_limiter_release(&b[0]);
    cr_assert(order[1] == 3 && order[2] == 0 && l->order[1] == 0);
    spawn_limiter_release(&b[1]);
    cr_assert(order[2] == 4);
    timers_run(l->timers, clock_boot_ms() + 10000);
    cr_assert(l->order[1] == 0, "its own start is not yet over");
    acquire_for(l, &b[1], "b", &again);
    cr_assert(again == 0, "nor is this one");
    spawn_limiter_release(&b[2]);
    cr_assert(again == 5);
    spawn_limiter_release(&l->tickets[0]);
    cr_assert(l->order[1] == 6, "the place beyond the limit: the other one is in time");
    timers_run(l->timers, clock_boot_ms() + 20000);
    spawn_limiter_release(&l->tickets[1]);
    cr_assert(l->order[2] == 7 && l->order[3] == 0, "overdue ones have left their places");
    talloc_free(l->ctx);
}

Test(spawn_limiter, another_workspace_need_not_wait_for_a_start_of_the_first)
{
    struct limiter_fixture *l = make_fixture(2);
    struct spawn_ticket b[2], c;
    int order[3] = {0};
    acquire_for(l, &b[0], "b", &order[0]);
    cr_assert_eq(order[0], 3, "one more than the limit");
    acquire_for(l, &b[1], "b", &order[1]);
    acquire_for(l, &c, "c", &order[2]);
    cr_assert(order[1] == 0 && order[2] == 0, "but not two");
    spawn_limiter_release(&l->tickets[0]);
    cr_assert(order[2] == 4 && order[1] == 0 && l->order[2] == 0, "the one that has none comes first");
    spawn_limiter_release(&c);
    cr_assert(l->order[2] == 0 && order[1] == 0, "the place beyond the limit is for one that has none");
    spawn_limiter_release(&b[0]);
    cr_assert(order[1] == 5 && l->order[2] == 0, "fewest first, not the one that waits longest");
    spawn_limiter_release(&b[1]);
    cr_assert(l->order[2] == 6 && l->order[3] == 0);
    talloc_free(l->ctx);
}
