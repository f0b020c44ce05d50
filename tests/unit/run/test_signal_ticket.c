#include <criterion/criterion.h>
#include <string.h>

#include "run/signal_ticket.h"

enum { EXPIRES = 1000000 };

static const struct signal_ticket_times open_one = {.expires_ms = EXPIRES, .is_open = true};

Test(signal_ticket, is_open_until_it_expires)
{
    cr_expect_eq(signal_ticket_state(&open_one, EXPIRES - 1), SIGNAL_TICKET_OPEN);
    cr_expect_eq(signal_ticket_state(&open_one, EXPIRES), SIGNAL_TICKET_EXPIRED);
}

Test(signal_ticket, ends_with_its_wait_and_its_run)
{
    struct signal_ticket_times t = open_one;
    t.waits_are_served = true;
    cr_expect_eq(signal_ticket_state(&t, 0), SIGNAL_TICKET_WAIT_OVER, "another answer came");
    t = open_one;
    t.is_open = false;
    cr_expect_eq(signal_ticket_state(&t, 0), SIGNAL_TICKET_WAIT_OVER);
    t.run_ended_ms = 1;
    cr_expect_eq(signal_ticket_state(&t, 0), SIGNAL_TICKET_ENDED);
}

Test(signal_ticket, tells_that_it_was_answered_whatever_came_after)
{
    struct signal_ticket_times t = {.expires_ms = EXPIRES, .answered_ms = 5, .run_ended_ms = 9};
    cr_expect_eq(signal_ticket_state(&t, 2 * EXPIRES), SIGNAL_TICKET_ANSWERED);
}

Test(signal_ticket, tokens_are_random)
{
    char a[SIGNAL_TICKET_TEXT_SIZE], b[SIGNAL_TICKET_TEXT_SIZE];
    uint8_t hash[SIGNAL_TICKET_HASH_SIZE], other[SIGNAL_TICKET_HASH_SIZE];
    cr_assert_eq(signal_ticket_token("", a), OK);
    cr_assert_eq(signal_ticket_token("", b), OK);
    cr_expect_eq(strlen(a), 43);
    cr_expect_str_neq(a, b);
    signal_ticket_hash(a, hash);
    signal_ticket_hash(b, other);
    cr_expect_neq(memcmp(hash, other, sizeof hash), 0);
}
