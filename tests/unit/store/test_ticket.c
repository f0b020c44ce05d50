#include <criterion/criterion.h>

#include "store/ticket.h"

enum { CREATED = 1000000, MINUTE = 60000 };

Test(ticket, must_be_used_within_a_minute)
{
    struct ticket_times t = {.created_ms = CREATED};
    cr_expect(ticket_is_valid(&t, CREATED + MINUTE));
    cr_expect_not(ticket_is_valid(&t, CREATED + MINUTE + 1));
    t.used_ms = CREATED + 1;
    cr_expect(ticket_is_valid(&t, CREATED + 1000 * MINUTE), "while the run is active");
}

Test(ticket, lives_five_minutes_after_its_run)
{
    struct ticket_times t = {.created_ms = CREATED, .used_ms = CREATED, .run_ended_ms = CREATED + 10};
    cr_expect(ticket_is_valid(&t, t.run_ended_ms + 5 * MINUTE));
    cr_expect_not(ticket_is_valid(&t, t.run_ended_ms + 5 * MINUTE + 1));
}

Test(ticket, dies_with_its_key)
{
    struct ticket_times t = {.created_ms = CREATED, .used_ms = CREATED, .key_expires_ms = CREATED + 5};
    cr_expect(ticket_is_valid(&t, CREATED + 4));
    cr_expect_not(ticket_is_valid(&t, CREATED + 5));
    t.key_expires_ms = 0;
    t.key_revoked_ms = CREATED + 1;
    cr_expect_not(ticket_is_valid(&t, CREATED + 1));
}
