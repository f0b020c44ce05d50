#include <criterion/criterion.h>
#include <talloc.h>

#include "executor/run/turns.h"

static int64_t clock_us;

static int64_t now_us(void)
{
    return clock_us;
}

/* A run that needs `work_us` more, in evaluations of 1 ms. */
struct computing_run {
    struct turn turn;
    int64_t work_us;
    int turns_n;
};

static void compute(void *arg)
{
    struct computing_run *run = arg;
    if (!turn_begin(&run->turn))
        return;
    run->turns_n++;
    while (run->work_us > 0 && !turn_is_over(&run->turn)) {
        run->work_us -= 1000;
        clock_us += 1000;
    }
    turn_end(&run->turn);
    if (run->work_us > 0)
        turn_request(&run->turn);
}

static id workspace_id(char last)
{
    id workspace = {.text = "0190a5b0-0000-7000-8000-000000000000"};
    workspace.text[35] = last;
    return workspace;
}

static void set_up_run(struct computing_run *run, struct turns *turns, char workspace, int64_t work_us)
{
    *run = (struct computing_run){.work_us = work_us};
    run->turn = (struct turn){
        .turns = turns, .workspace_id = workspace_id(workspace), .on_turn = compute, .arg = run};
}

struct fixture {
    struct timers *timers;
    struct turns *turns;
};

static struct fixture set_up(void *ctx)
{
    struct fixture f = {.timers = timers_new(ctx, NULL)};
    clock_us = 1000000;
    f.turns = turns_new(ctx, f.timers, now_us);
    return f;
}

/* One iteration of the loop, with nothing but the timers. */
static void run_round(struct fixture *f)
{
    timers_run(f->timers, clock_us / 1000);
}

Test(turns, a_short_run_needs_no_round)
{
    void *ctx = talloc_new(NULL);
    struct fixture f = set_up(ctx);
    struct computing_run run;
    set_up_run(&run, f.turns, '1', 3000);
    compute(&run);
    cr_expect_eq(run.work_us, 0);
    cr_expect_not(turn_is_queued(&run.turn));
    cr_expect_eq(timers_next_ms(f.timers), INT64_MAX);
    talloc_free(ctx);
}

/* The time is the workspace's: many runs do not get more of it than one. */
Test(turns, the_runs_of_a_workspace_share_its_time)
{
    void *ctx = talloc_new(NULL);
    struct fixture f = set_up(ctx);
    struct computing_run runs[300];
    int64_t began_us = clock_us;
    for (size_t i = 0; i < 300; i++) {
        set_up_run(&runs[i], f.turns, '1', 2000);
        compute(&runs[i]);
    }
    cr_expect_leq(clock_us - began_us, TURN_US + 1000);
    began_us = clock_us;
    run_round(&f);
    cr_expect_geq(clock_us - began_us, TURN_US);
    cr_expect_leq(clock_us - began_us, TURN_US + 1000);
    for (int round = 0; round < 300; round++)
        run_round(&f);
    for (size_t i = 0; i < 300; i++)
        cr_expect_eq(runs[i].work_us, 0, "%zu", i);
    cr_expect_eq(timers_next_ms(f.timers), INT64_MAX);
    talloc_free(ctx);
}

/* Another workspace works at once, whatever waits. */
Test(turns, another_workspace_does_not_wait)
{
    void *ctx = talloc_new(NULL);
    struct fixture f = set_up(ctx);
    struct computing_run greedy, victim;
    set_up_run(&greedy, f.turns, '1', 1000000);
    set_up_run(&victim, f.turns, '2', 1000);
    compute(&greedy);
    cr_expect(turn_is_queued(&greedy.turn));
    compute(&victim);
    cr_expect_eq(victim.work_us, 0);
    cr_expect_eq(greedy.turns_n, 1);
    talloc_free(ctx);
}

Test(turns, workspaces_are_served_in_rotation)
{
    void *ctx = talloc_new(NULL);
    struct fixture f = set_up(ctx);
    struct computing_run runs[3];
    for (size_t i = 0; i < 3; i++) {
        set_up_run(&runs[i], f.turns, (char)('1' + i), 1000000);
        compute(&runs[i]);
    }
    for (int round = 0; round < 9; round++)
        run_round(&f);
    for (size_t i = 0; i < 3; i++)
        cr_expect_eq(runs[i].turns_n, 4, "%zu: %d turns", i, runs[i].turns_n);
    for (size_t i = 0; i < 3; i++)
        turn_cancel(&runs[i].turn);
    talloc_free(ctx);
}

/* One evaluation that takes 40 ms, and work outside a turn of 20 ms: the workspace pays with its next rounds.
 */
Test(turns, an_overshoot_is_paid_for_with_the_next_rounds)
{
    void *ctx = talloc_new(NULL);
    struct fixture f = set_up(ctx);
    struct computing_run greedy, other;
    set_up_run(&greedy, f.turns, '1', 1000000);
    set_up_run(&other, f.turns, '2', 1000000);
    cr_assert(turn_begin(&greedy.turn));
    clock_us += 40000;
    turn_end(&greedy.turn);
    clock_us += 20000;
    turn_charge(&greedy.turn, clock_us - 20000);
    turn_request(&greedy.turn);
    compute(&other);
    for (int round = 0; round < 11; round++)
        run_round(&f);
    cr_expect_eq(greedy.turns_n, 0);
    cr_expect_eq(other.turns_n, 12);
    run_round(&f);
    cr_expect_eq(greedy.turns_n, 1);
    turn_cancel(&greedy.turn);
    turn_cancel(&other.turn);
    talloc_free(ctx);
}

/* Nobody else waits: its rounds follow each other at once. */
Test(turns, a_workspace_that_is_alone_does_not_wait_for_what_it_owes)
{
    void *ctx = talloc_new(NULL);
    struct fixture f = set_up(ctx);
    struct computing_run run;
    set_up_run(&run, f.turns, '1', 1000);
    cr_assert(turn_begin(&run.turn));
    clock_us += 40000;
    turn_end(&run.turn);
    compute(&run);
    cr_expect(turn_is_queued(&run.turn));
    int64_t began_us = clock_us;
    for (int round = 0; round < 9; round++)
        run_round(&f);
    cr_expect_eq(run.work_us, 0);
    cr_expect_eq(clock_us - began_us, 1000);
    talloc_free(ctx);
}

/* All turns inside a claim's transaction together have the time that the transaction allows. */
Test(turns, a_limit_ends_turns_and_refuses_new_ones)
{
    void *ctx = talloc_new(NULL);
    struct fixture f = set_up(ctx);
    struct computing_run runs[4];
    int64_t began_us = clock_us;
    turns_limit(f.turns, clock_us + 5000);
    for (size_t i = 0; i < 4; i++) {
        set_up_run(&runs[i], f.turns, (char)('1' + i), 3000);
        compute(&runs[i]);
    }
    turns_limit(f.turns, INT64_MAX);
    cr_expect_eq(clock_us - began_us, 5000);
    cr_expect_eq(runs[3].turns_n, 0);
    for (int round = 0; round < 4; round++)
        run_round(&f);
    for (size_t i = 0; i < 4; i++)
        cr_expect_eq(runs[i].work_us, 0, "%zu", i);
    talloc_free(ctx);
}

Test(turns, a_cancelled_turn_is_not_served)
{
    void *ctx = talloc_new(NULL);
    struct fixture f = set_up(ctx);
    struct computing_run runs[2];
    for (size_t i = 0; i < 2; i++) {
        set_up_run(&runs[i], f.turns, '1', 10000);
        compute(&runs[i]);
    }
    turn_cancel(&runs[1].turn);
    turn_cancel(&runs[1].turn);
    for (int round = 0; round < 5; round++)
        run_round(&f);
    cr_expect_eq(runs[0].work_us, 0);
    cr_expect_eq(runs[1].turns_n, 0);
    talloc_free(ctx);
}
