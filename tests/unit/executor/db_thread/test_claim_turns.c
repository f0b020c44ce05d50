#include <criterion/criterion.h>

#include "executor/db_thread/claim_turns.h"

static id workspace(size_t n)
{
    return id_floor(1700000000000 + (int64_t)n);
}

/* Runs a round over workspaces with so many queued runs, up to n of them; returns the number of visits. */
static size_t run_round(size_t places, const size_t *queued, size_t n, size_t *given)
{
    struct claim_round round = {.places = places};
    size_t visits = 0;
    size_t share;
    for (size_t i = 0; i < n; i++) {
        id w = workspace(i);
        cr_assert(claim_round_add(&round, &w));
        given[i] = 0;
    }
    for (struct claim_visit *v; (v = claim_round_next(&round, &share)); visits++) {
        size_t i = (size_t)(v - round.visits);
        size_t has = queued[i] - given[i];
        size_t gives = has < share ? has : share;
        given[i] += gives;
        claim_round_given(&round, v, gives == share, gives);
    }
    return visits;
}

Test(claim_turns, shares_places_equally_and_redistributes_what_is_left)
{
    static const struct {
        size_t places, n, queued[4], given[4], visits;
        const char *what;
    } cases[] = {
        {64, 1, {100000}, {64}, 1, "one workspace gets all places"},
        {64, 1, {10}, {10}, 1, "one workspace with less than there are places"},
        {64, 2, {100000, 1}, {63, 1}, 3, "a small workspace beside a large one"},
        {64, 2, {1, 100000}, {1, 63}, 2, "and before it"},
        {64, 4, {1000, 1000, 1000, 1000}, {16, 16, 16, 16}, 4, "equal shares"},
        {3, 4, {1000, 1000, 1000, 1000}, {1, 1, 1, 0}, 3, "fewer places than workspaces"},
        {10, 3, {2, 2, 2}, {2, 2, 2}, 3, "more places than runs"},
        {10, 3, {0, 0, 50}, {0, 0, 10}, 3, "rows of two are locked by others"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        size_t given[4];
        size_t visits = run_round(cases[c].places, cases[c].queued, cases[c].n, given);
        for (size_t i = 0; i < cases[c].n; i++)
            cr_expect_eq(given[i], cases[c].given[i], "%s: workspace %zu gives %zu", cases[c].what, i,
                         given[i]);
        cr_expect_eq(visits, cases[c].visits, "%s: %zu visits", cases[c].what, visits);
    }
}

Test(claim_turns, a_round_holds_each_workspace_once_and_no_more_than_16)
{
    struct claim_round round = {.places = 1000};
    id w = workspace(0);
    cr_expect_not(claim_round_may_have_more(&round));
    cr_expect(claim_round_add(&round, &w));
    cr_expect_not(claim_round_add(&round, &w), "the order has wrapped around");
    for (size_t i = 1; i < CLAIM_WORKSPACES_MAX; i++) {
        w = workspace(i);
        cr_expect(claim_round_add(&round, &w));
    }
    w = workspace(CLAIM_WORKSPACES_MAX);
    cr_expect_not(claim_round_add(&round, &w));
    cr_expect(claim_round_may_have_more(&round), "other workspaces may have queued runs");
}

Test(claim_turns, visits_as_many_workspaces_as_are_worth_it)
{
    struct claim_round round = {.places = 64};
    cr_expect_eq(claim_round_wanted(&round), 8U);
    round.places = 9;
    cr_expect_eq(claim_round_wanted(&round), 2U);
    round.places = 1;
    cr_expect_eq(claim_round_wanted(&round), 1U);
    round.n = CLAIM_WORKSPACES_MAX - 1;
    round.places = 60;
    cr_expect_eq(claim_round_wanted(&round), 1U, "there is room for one");
    round.places = 0;
    cr_expect_eq(claim_round_wanted(&round), 0U);
}

Test(claim_turns, filled_places_mean_that_there_may_be_more)
{
    struct claim_round round = {.places = 1};
    size_t share;
    id w = workspace(0);
    claim_round_add(&round, &w);
    struct claim_visit *v = claim_round_next(&round, &share);
    claim_round_given(&round, v, true, 1);
    cr_expect_null(claim_round_next(&round, &share));
    cr_expect(claim_round_may_have_more(&round));
}

/* A scan over two workspaces: its round, with what each has seen. */
static struct claim_round round_of(size_t n, size_t places)
{
    struct claim_round round = {.places = places};
    for (size_t i = 0; i < n; i++) {
        id w = workspace(i);
        cr_assert(claim_round_add(&round, &w));
        round.visits[i].newest = workspace(100 + i);
    }
    return round;
}

Test(claim_turns, a_scan_continues_where_the_one_before_ended)
{
    struct scan_place place = {0};
    struct claim_round round = round_of(2, 64);
    struct claim_round next = {.places = 64};
    id first = workspace(0);
    id second = workspace(1);
    id newest = workspace(101);
    cr_expect_not(scan_place_continue(&place, &next), "nothing was scanned");
    round.visits[0].exhausted = true;
    scan_place_keep(&place, &round, true);
    cr_expect(id_equal(&place.last_workspace, &second));
    cr_assert(scan_place_continue(&place, &next));
    cr_expect(next.n == 1 && claim_round_has(&next, &second), "the other one has no more");
    id from = scan_place_of(&place, &second);
    cr_expect(id_equal(&from, &newest));
    from = scan_place_of(&place, &first);
    cr_expect(id_is_set(&from), "a run that comes later is newer");
    id other = workspace(2);
    from = scan_place_of(&place, &other);
    cr_expect_not(id_is_set(&from));
    scan_place_reset(&place);
    from = scan_place_of(&place, &second);
    cr_expect_not(id_is_set(&from));
    next = (struct claim_round){.places = 64};
    cr_expect_not(scan_place_continue(&place, &next));
    cr_expect(id_equal(&place.last_workspace, &second), "the turn does not begin again");
}

Test(claim_turns, workspaces_are_looked_for_if_there_may_be_others)
{
    struct scan_place place = {0};
    struct claim_round round = round_of(2, 64);
    struct claim_round next = {.places = 64};
    scan_place_keep(&place, &round, false);
    cr_expect_not(scan_place_continue(&place, &next));
    scan_place_keep(&place, &round, true);
    next.places = 8;
    cr_expect_not(scan_place_continue(&place, &next), "each one gets its turn before one gets a second");
    next.places = 9;
    cr_expect(scan_place_continue(&place, &next));
}

Test(claim_turns, due_and_queued_runs_get_half_of_the_places_each)
{
    struct claim_visit visit = {.odd_for_due = false};
    cr_expect(claim_visit_due_share(&visit, 8) == 4);
    cr_expect(claim_visit_due_share(&visit, 1) == 0, "the only place is given at random");
    visit.odd_for_due = true;
    cr_expect(claim_visit_due_share(&visit, 1) == 1 && claim_visit_due_share(&visit, 7) == 4);
    visit.queued_exhausted = true;
    cr_expect(claim_visit_due_share(&visit, 8) == 8);
    visit.due_exhausted = true;
    cr_expect(claim_visit_due_share(&visit, 8) == 0);
}
