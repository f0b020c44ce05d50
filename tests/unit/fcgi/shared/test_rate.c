#include <criterion/criterion.h>
#include <stdlib.h>

#include "fcgi/shared/rate.h"

enum { LIMIT = 100, NOW = 1000000, WINDOW_MS = RATE_WINDOW_S * 1000 };

static struct rate_area *new_area(void)
{
    struct rate_area *area = calloc(1, sizeof *area);
    rate_area_init(area);
    return area;
}

static int take(struct rate_area *area, const id *workspace, int64_t now_ms)
{
    return rate_lease_take(area, workspace, LIMIT, now_ms).verdict;
}

static struct rate_state grant(struct rate_area *area, const id *workspace, int64_t granted, int64_t now_ms)
{
    struct rate_grant g = {.granted = granted, .unleased = LIMIT - granted, .remaining_ms = WINDOW_MS};
    return rate_lease_grant(area, workspace, LIMIT, g, now_ms);
}

Test(rate, a_lease_serves_as_many_requests_as_were_granted)
{
    struct rate_area *area = new_area();
    id workspace = id_new();
    cr_assert_eq(take(area, &workspace, NOW), RATE_UNKNOWN);
    cr_assert_eq(grant(area, &workspace, 3, NOW).verdict, RATE_GRANTED);
    cr_assert_eq(take(area, &workspace, NOW + 1), RATE_GRANTED);
    cr_assert_eq(take(area, &workspace, NOW + 2), RATE_GRANTED);
    cr_assert_eq(take(area, &workspace, NOW + 3), RATE_UNKNOWN, "Redis must be asked for the next lease");
    free(area);
}

Test(rate, reports_what_remains_of_the_window)
{
    struct rate_area *area = new_area();
    id workspace = id_new();
    struct rate_state s = grant(area, &workspace, 10, NOW);
    cr_assert_eq(s.limit, LIMIT);
    cr_assert_eq(s.remaining, LIMIT - 1);
    cr_assert_eq(s.reset_s, RATE_WINDOW_S);
    s = rate_lease_take(area, &workspace, LIMIT, NOW + WINDOW_MS - 1);
    cr_assert_eq(s.remaining, LIMIT - 2);
    cr_assert_eq(s.reset_s, 1, "a started second counts");
    free(area);
}

Test(rate, an_exhausted_window_is_not_asked_for_at_once)
{
    struct rate_area *area = new_area();
    id workspace = id_new();
    struct rate_grant nothing = {.granted = 0, .unleased = 0, .remaining_ms = 30000};
    struct rate_state s = rate_lease_grant(area, &workspace, LIMIT, nothing, NOW);
    cr_assert_eq(s.verdict, RATE_LIMITED);
    cr_assert_eq(s.remaining, 0);
    cr_assert_eq(s.reset_s, 30);
    cr_assert_eq(take(area, &workspace, NOW + 199), RATE_LIMITED);
    cr_assert_eq(take(area, &workspace, NOW + 200), RATE_UNKNOWN);
    free(area);
}

Test(rate, a_lease_ends_with_its_window)
{
    struct rate_area *area = new_area();
    id workspace = id_new();
    grant(area, &workspace, 10, NOW);
    cr_assert_eq(take(area, &workspace, NOW + WINDOW_MS - 1), RATE_GRANTED);
    cr_assert_eq(take(area, &workspace, NOW + WINDOW_MS), RATE_UNKNOWN);
    free(area);
}

Test(rate, a_changed_limit_discards_the_lease)
{
    struct rate_area *area = new_area();
    id workspace = id_new();
    grant(area, &workspace, 10, NOW);
    cr_assert_eq(rate_lease_take(area, &workspace, LIMIT + 1, NOW).verdict, RATE_UNKNOWN);
    free(area);
}

Test(rate, workspaces_have_leases_of_their_own)
{
    struct rate_area *area = new_area();
    id mine = id_new();
    id theirs = id_new();
    grant(area, &mine, 2, NOW);
    cr_assert_eq(take(area, &theirs, NOW), RATE_UNKNOWN);
    cr_assert_eq(take(area, &mine, NOW), RATE_GRANTED);
    free(area);
}
