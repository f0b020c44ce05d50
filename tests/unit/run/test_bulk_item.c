#include <criterion/criterion.h>

#include "run/bulk_item.h"

Test(bulk_item, each_number_has_a_word_of_its_own)
{
    enum bulk_action action;
    enum bulk_outcome outcome;
    for (int a = BULK_STOP; a <= BULK_PURGE; a++) {
        cr_assert(bulk_action_from_name(bulk_action_name((enum bulk_action)a), &action));
        cr_expect_eq((int)action, a);
    }
    for (int o = BULK_PENDING; o < BULK_OUTCOMES; o++) {
        cr_assert(bulk_outcome_from_name(bulk_outcome_name((enum bulk_outcome)o), &outcome));
        cr_expect_eq((int)outcome, o);
    }
    for (int s = BULK_COLLECTING; s <= BULK_CANCELLED; s++)
        cr_expect_not_null(bulk_state_name((enum bulk_state)s));
    for (int r = BULK_STATE_CHANGED; r < BULK_REASONS; r++)
        cr_expect_not_null(bulk_reason_name((enum bulk_reason)r));
    cr_expect_str_eq(bulk_state_name(BULK_CANCELLED), "cancelled");
    cr_expect_str_eq(bulk_reason_name(BULK_CONCURRENCY_LIMITED), "concurrency_limited");
}

Test(bulk_item, unknown_words_and_numbers_are_found_out)
{
    enum bulk_action action;
    enum bulk_outcome outcome;
    cr_expect_not(bulk_action_from_name("", &action));
    cr_expect_not(bulk_action_from_name("stopped", &action));
    cr_expect_not(bulk_outcome_from_name("Done", &outcome));
    cr_expect_null(bulk_action_name((enum bulk_action)0));
    cr_expect_null(bulk_action_name((enum bulk_action)4));
    cr_expect_null(bulk_state_name((enum bulk_state)6));
    cr_expect_null(bulk_reason_name(BULK_NO_REASON));
    cr_expect_null(bulk_reason_name(BULK_REASONS));
}
