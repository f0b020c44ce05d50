#include <criterion/criterion.h>
#include <talloc.h>

#include "base/clock.h"
#include "executor/io/spawn_limiter.h"

static int calls;

static void count(void *arg)
{
    calls++;
    *(int *)arg = calls;
}

struct line {
    void *ctx;
    struct timers *timers;
    struct start_gate *gate;
    struct start_turn turns[4];
    int order[4]; /* 0: not called */
};

static struct line *make_line(int width)
{
    void *ctx = talloc_new(NULL);
    struct line *l = talloc_zero(ctx, struct line);
    l->ctx = ctx;
    l->timers = timers_new(ctx, NULL);
    l->gate = start_gate_new(ctx, l->timers, width);
    calls = 0;
    for (int i = 0; i < 4; i++) {
        l->turns[i] = (struct start_turn){.go = count, .arg = &l->order[i]};
        start_gate_enter(l->gate, &l->turns[i]);
    }
    return l;
}

Test(start_gate, lets_in_by_width_and_in_order)
{
    struct line *l = make_line(2);
    cr_assert(l->order[0] == 1 && l->order[1] == 2 && l->order[2] == 0 && l->order[3] == 0);
    start_gate_leave(&l->turns[1]);
    cr_assert(l->order[2] == 3 && l->order[3] == 0);
    start_gate_leave(&l->turns[1]); /* once more is nothing */
    cr_assert(l->order[3] == 0);
    start_gate_leave(&l->turns[0]);
    cr_assert(l->order[3] == 4);
    talloc_free(l->ctx);
}

Test(start_gate, forgets_who_leaves_the_line)
{
    struct line *l = make_line(1);
    start_gate_leave(&l->turns[3]); /* the last */
    start_gate_leave(&l->turns[1]); /* one in between */
    start_gate_enter(l->gate, &l->turns[1]);
    start_gate_leave(&l->turns[0]);
    cr_assert(l->order[2] == 2 && l->order[1] == 0 && l->order[3] == 0);
    start_gate_leave(&l->turns[2]);
    cr_assert(l->order[1] == 3 && l->order[3] == 0);
    talloc_free(l->ctx);
}

Test(start_gate, waits_for_nobody_for_ever)
{
    struct line *l = make_line(1);
    timers_run(l->timers, clock_boot_ms() - 1);
    cr_assert(l->order[1] == 0);
    timers_run(l->timers, clock_boot_ms() + 10000);
    cr_assert(l->order[1] == 2 && l->order[2] == 0);
    start_gate_leave(&l->turns[0]); /* it had its turn */
    cr_assert(l->order[2] == 0);
    start_gate_leave(&l->turns[1]);
    cr_assert(l->order[2] == 3);
    talloc_free(l->ctx);
}
