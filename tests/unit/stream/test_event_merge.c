#include <criterion/criterion.h>
#include <stdlib.h>

#include "stream/event_merge.h"

/* A complete read of a run whose newest event is `last`. */
static void complete_read(struct event_merge *f, int last, bool is_terminal)
{
    int after = f->sent;
    cr_assert(merge_needs_read(f));
    merge_read_begin(f);
    cr_assert(!merge_needs_read(f));
    merge_read_done(f, last > after ? last : 0, last, is_terminal);
}

Test(event_merge, reads_history_before_live_events)
{
    struct event_merge f;
    merge_init(&f, 0);
    cr_assert(!merge_on_event(&f, 1, false), "nothing is sent before the history was read");
    complete_read(&f, 3, false);
    cr_assert_eq(f.sent, 3);
    cr_assert(!merge_needs_read(&f));
}

Test(event_merge, live_events_follow_without_reading)
{
    struct event_merge f;
    merge_init(&f, 0);
    complete_read(&f, 1, false);
    cr_assert(merge_on_event(&f, 2, false));
    cr_assert(!merge_on_event(&f, 2, false), "a double");
    cr_assert(!merge_on_event(&f, 1, false), "an old one");
    cr_assert(merge_on_event(&f, 3, true));
    cr_assert(f.ended);
    cr_assert(!merge_on_event(&f, 4, false), "nothing after the end");
    cr_assert(!merge_needs_read(&f));
}

Test(event_merge, a_gap_triggers_a_read)
{
    struct event_merge f;
    merge_init(&f, 0);
    complete_read(&f, 1, false);
    cr_assert(!merge_on_event(&f, 3, false));
    complete_read(&f, 3, false);
    cr_assert_eq(f.sent, 3);
    cr_assert(merge_on_event(&f, 4, true));
}

Test(event_merge, events_during_a_read_trigger_another_read)
{
    struct event_merge f;
    merge_init(&f, 0);
    merge_read_begin(&f);
    cr_assert(!merge_on_event(&f, 2, true), "the read may bring it");
    merge_read_done(&f, 1, 1, false);
    complete_read(&f, 2, true);
    cr_assert(f.ended);
    cr_assert_eq(f.sent, 2);
}

Test(event_merge, an_empty_read_keeps_events_received_during_it)
{
    struct event_merge f;
    merge_init(&f, 1);
    merge_read_begin(&f);
    cr_assert(!merge_on_event(&f, 2, false));
    merge_read_done(&f, 0, 1, false);
    cr_assert(merge_needs_read(&f));
}

Test(event_merge, a_false_hint_costs_one_read)
{
    struct event_merge f;
    merge_init(&f, 0);
    complete_read(&f, 1, false);
    cr_assert(!merge_on_event(&f, 1000, true));
    merge_read_begin(&f);
    merge_read_done(&f, 0, 1, false);
    cr_assert(!merge_needs_read(&f));
    cr_assert(merge_on_event(&f, 2, false));
}

Test(event_merge, reads_the_next_page_after_a_full_one)
{
    struct event_merge f;
    merge_init(&f, 0);
    merge_read_begin(&f);
    merge_read_done(&f, 100, 150, true);
    cr_assert(!f.ended);
    merge_read_begin(&f);
    merge_read_done(&f, 150, 150, true);
    cr_assert(f.ended);
}

Test(event_merge, a_failed_read_is_repeated)
{
    struct event_merge f;
    merge_init(&f, 4);
    merge_read_begin(&f);
    merge_read_failed(&f);
    cr_assert(!merge_on_event(&f, 5, false));
    complete_read(&f, 6, true);
    cr_assert(f.ended);
}

Test(event_merge, progress_reveals_events_that_redis_lost)
{
    struct event_merge f;
    merge_init(&f, 0);
    complete_read(&f, 2, false);
    merge_on_progress(&f, 2, false);
    cr_assert(!merge_needs_read(&f));
    merge_on_progress(&f, 5, true);
    cr_assert(!f.ended);
    complete_read(&f, 5, true);
    cr_assert(f.ended);
}

Test(event_merge, ends_for_a_subscriber_that_has_all_events)
{
    struct event_merge f;
    merge_init(&f, 7);
    merge_read_begin(&f);
    merge_read_done(&f, 0, 7, true);
    cr_assert(f.ended);
}

/* A run commits events; some are published, late, twice or never; reads take their time. Whatever happens,
 * the subscriber gets every number once, in order. */
static void check_random_history(unsigned seed)
{
    enum { LAST = 40 };
    struct event_merge f;
    int committed = 1, snapshot = 0, expected = 0, steps = 0, heard;
    merge_init(&f, 0);
    while (!f.ended && ++steps < 10000) {
        int before = f.sent;
        switch (rand_r(&seed) % 5) {
        case 0:
            committed += committed < LAST;
            break;
        case 1: /* published: usually the newest, sometimes an old one */
            heard = rand_r(&seed) % 4 ? committed : 1 + rand_r(&seed) % committed;
            merge_on_event(&f, heard, heard == LAST);
            break;
        case 2:
            if (merge_needs_read(&f)) {
                merge_read_begin(&f);
                snapshot = committed;
            }
            break;
        case 3:
            if (f.reading && rand_r(&seed) % 8 == 0) {
                merge_read_failed(&f);
            } else if (f.reading) {
                int until = snapshot < f.sent + 3 ? snapshot : f.sent + 3; /* pages of three */
                merge_read_done(&f, until > f.sent ? until : 0, snapshot, snapshot == LAST);
                expected = f.sent; /* the page was sent as a whole */
            }
            break;
        default:
            if (rand_r(&seed) % 4 == 0)
                merge_on_progress(&f, committed, committed == LAST);
        }
        cr_assert(f.sent <= committed && f.sent >= before);
        if (f.sent != expected) {
            cr_assert_eq(f.sent, expected + 1, "a live event follows the one before");
            expected = f.sent;
        }
    }
    cr_assert(f.ended, "the story ends");
    cr_assert_eq(f.sent, LAST);
}

Test(event_merge, any_history_is_sent_once_and_completely)
{
    for (unsigned seed = 1; seed <= 2000; seed++)
        check_random_history(seed);
}

Test(event_merge, a_terminal_state_waits_for_the_missing_events)
{
    struct event_merge f;
    merge_init(&f, 0);
    complete_read(&f, 2, false);
    merge_read_begin(&f);
    merge_on_progress(&f, 2, true);
    cr_assert(!f.ended, "a read is in flight");
    merge_read_done(&f, 0, 2, true);
    cr_assert(f.ended);
}

Test(event_merge, nothing_is_sent_after_the_end)
{
    struct event_merge f;
    merge_init(&f, 0);
    complete_read(&f, 3, true);
    cr_assert(f.ended);
    merge_on_progress(&f, 9, true);
    cr_assert(!merge_needs_read(&f));
    cr_assert(!merge_on_event(&f, 4, false));
}

Test(event_merge, a_client_may_claim_a_number_that_does_not_exist)
{
    struct event_merge f;
    merge_init(&f, 100);
    merge_read_begin(&f);
    merge_read_done(&f, 0, 3, false);
    cr_assert(!merge_on_event(&f, 4, false));
    cr_assert_eq(f.sent, 100);
    merge_on_progress(&f, 5, true);
    cr_assert(f.ended, "the stream of a run that has ended does not stay open");
}
