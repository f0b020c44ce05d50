#include <criterion/criterion.h>

#include "run/states.h"

/* The picture in the design, move by move; whatever is not listed is forbidden. */
static const struct {
    enum run_state from;
    enum transition move;
    enum run_state to;
} allowed[] = {
    {STATE_QUEUED, MOVE_CLAIM, STATE_RUNNING},        {STATE_QUEUED, MOVE_STOP, STATE_STOPPED},
    {STATE_RUNNING, MOVE_SUCCEED, STATE_SUCCEEDED},   {STATE_RUNNING, MOVE_FAIL, STATE_FAILED},
    {STATE_RUNNING, MOVE_REQUEUE_LOST, STATE_QUEUED}, {STATE_RUNNING, MOVE_RELEASE, STATE_QUEUED},
    {STATE_RUNNING, MOVE_STOP, STATE_STOPPED},        {STATE_RUNNING, MOVE_PARK, STATE_RUNNING},
    {STATE_RUNNING, MOVE_WAKE, STATE_RUNNING},        {STATE_QUEUED, MOVE_BEGIN, STATE_QUEUED},
    {STATE_QUEUED, MOVE_EXPIRE, STATE_FAILED},
};

static enum run_state expected(int from, int move)
{
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++) {
        if ((int)allowed[i].from == from && (int)allowed[i].move == move)
            return allowed[i].to;
    }
    return 0;
}

Test(states, every_move_from_every_state)
{
    for (int from = 0; from <= STATE_STOPPED + 1; from++) {
        for (int move = 0; move <= MOVE_COUNT; move++) {
            enum run_state to = 0;
            bool may = state_may((enum run_state)from, (enum transition)move, &to);
            cr_expect_eq(may, expected(from, move) != 0, "from %d by %d", from, move);
            cr_expect_eq(to, expected(from, move), "from %d by %d", from, move);
        }
    }
}

Test(states, terminal_is_final)
{
    for (int s = STATE_QUEUED; s <= STATE_STOPPED; s++) {
        bool leaves = false;
        for (int move = 0; move < MOVE_COUNT; move++) {
            enum run_state to;
            leaves = leaves || state_may((enum run_state)s, (enum transition)move, &to);
        }
        cr_expect_eq(state_is_terminal((enum run_state)s), !leaves);
    }
}

Test(states, maps_to_the_four_contract_statuses)
{
    enum run_state s[2];
    cr_assert_eq(states_from_status("running", s), 2);
    cr_assert_eq(s[0], STATE_QUEUED);
    cr_assert_eq(s[1], STATE_RUNNING);
    cr_assert_eq(states_from_status("success", s), 1);
    cr_assert_eq(s[0], STATE_SUCCEEDED);
    cr_assert_eq(states_from_status("queued", s), 0);
    cr_assert_eq(state_from_name("queued", s), 1);
    cr_assert_eq(state_from_name("success", s), 0);
}

Test(states, invalid_numbers_have_no_name)
{
    cr_assert_str_eq(state_name((enum run_state)77), "unknown");
    cr_assert_str_eq(event_name((enum event_type)0), "unknown");
    cr_assert_null(reason_name(REASON_NONE));
    cr_assert_str_eq(reason_name(REASON_INTERNAL), "internal");
    cr_assert_str_eq(event_name(EVENT_STOPPED), "execution.stopped");
}

Test(states, events_of_later_versions_are_not_known)
{
    for (int t = EVENT_QUEUED; t <= EVENT_SIGNAL_REJECTED; t++)
        cr_expect(event_is_known((enum event_type)t), "%d", t);
    static const int others[] = {0, EVENT_SIGNAL_REJECTED + 1, 200, -1};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        cr_expect_not(event_is_known((enum event_type)others[i]), "%d", others[i]);
}
