#include <criterion/criterion.h>

#include "run/recover.h"

enum { MINE = 7, OTHER = 8, MAX_LOST = 3 };

static const struct run running = {.state = STATE_RUNNING, .executor_id = MINE};

Test(recover, a_running_run_of_the_executor_is_moved)
{
    cr_assert_eq(recover_decide(&running, MINE, MOVE_REQUEUE_LOST, MAX_LOST), RECOVER_MOVE);
    cr_assert_eq(recover_decide(&running, MINE, MOVE_RELEASE, 0), RECOVER_MOVE);
}

Test(recover, other_runs_are_left_alone)
{
    for (int state = STATE_QUEUED; state <= STATE_STOPPED; state++) {
        struct run r = {.state = (enum run_state)state, .executor_id = MINE, .lost_count = MAX_LOST};
        if (state != STATE_RUNNING)
            cr_expect_eq(recover_decide(&r, MINE, MOVE_REQUEUE_LOST, MAX_LOST), RECOVER_SKIP, "%d", state);
    }
    cr_assert_eq(recover_decide(&running, OTHER, MOVE_REQUEUE_LOST, MAX_LOST), RECOVER_SKIP);
}

Test(recover, the_last_loss_fails_the_run_and_a_release_never_does)
{
    struct run r = running;
    r.lost_count = MAX_LOST - 2;
    cr_assert_eq(recover_decide(&r, MINE, MOVE_REQUEUE_LOST, MAX_LOST), RECOVER_MOVE);
    r.lost_count = MAX_LOST - 1;
    cr_assert_eq(recover_decide(&r, MINE, MOVE_REQUEUE_LOST, MAX_LOST), RECOVER_FAIL);
    cr_assert_eq(recover_decide(&r, MINE, MOVE_RELEASE, MAX_LOST), RECOVER_MOVE);
}

Test(recover, a_claim_takes_queued_runs_at_their_attempt_and_parked_ones_at_the_next)
{
    struct run queued = {.state = STATE_QUEUED, .attempt = 2};
    struct run parked = {.state = STATE_RUNNING, .attempt = 2, .parked = true};
    struct run active = {.state = STATE_RUNNING, .attempt = 2, .executor_id = 7};
    struct run ended = {.state = STATE_SUCCEEDED, .attempt = 2};
    cr_expect(run_is_claimable(&queued, 2) && !run_is_claimable(&queued, 3));
    cr_expect(run_is_claimable(&parked, 3) && !run_is_claimable(&parked, 2));
    cr_expect(!run_is_claimable(&active, 2) && !run_is_claimable(&active, 3));
    cr_expect(!run_is_claimable(&ended, 2) && !run_is_claimable(&ended, 3));
}
