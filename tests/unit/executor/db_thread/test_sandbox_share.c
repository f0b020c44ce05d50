#include <criterion/criterion.h>
#include <talloc.h>

#include "executor/db_thread/sandbox_share.h"

enum { PERMITS_MAX = 64 };

static int freed;

static void on_free(void *arg)
{
    (void)arg;
    freed++;
}

static struct sandbox_permit *take(struct sandbox_share *share, int workspace)
{
    id w = id_floor(1700000000000 + workspace);
    return sandbox_permit_take(share, &w);
}

static size_t take_all(struct sandbox_share *share, int workspace, struct sandbox_permit **permits)
{
    size_t n = 0;
    while (n < PERMITS_MAX && (permits[n] = take(share, workspace)))
        n++;
    return n;
}

static void drop_all(struct sandbox_permit **permits, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sandbox_permit_unref(permits[i]);
}

static const struct share_limit no_limit;

static size_t three(void *arg, const id *workspace)
{
    (void)arg;
    (void)workspace;
    return 3;
}

Test(sandbox_share, gives_a_workspace_no_more_than_its_own_limit)
{
    const struct share_limit limit = {three, NULL};
    struct sandbox_share *share = sandbox_share_new(NULL, 16, 8, &limit, &no_limit, on_free, NULL);
    struct sandbox_permit *permits[PERMITS_MAX];
    cr_assert_eq(take_all(share, 1, permits), 3U);
    drop_all(permits, 3);
    talloc_free(share);
}

Test(sandbox_share, a_raised_minimum_gives_the_last_quarter)
{
    const struct share_limit minimum = {three, NULL};
    struct sandbox_share *share = sandbox_share_new(NULL, 16, 1, &no_limit, &minimum, on_free, NULL);
    struct sandbox_permit *first[PERMITS_MAX];
    struct sandbox_permit *second[PERMITS_MAX];
    cr_assert_eq(take_all(share, 1, first), 12U);
    cr_assert_eq(take_all(share, 2, second), 3U);
    drop_all(first, 12);
    drop_all(second, 3);
    talloc_free(share);
}

Test(sandbox_share, leaves_the_last_quarter_to_workspaces_below_their_minimum)
{
    struct sandbox_share *share = sandbox_share_new(NULL, 16, 2, &no_limit, &no_limit, on_free, NULL);
    struct sandbox_permit *first[PERMITS_MAX];
    struct sandbox_permit *second[PERMITS_MAX];
    struct sandbox_permit *third[PERMITS_MAX];
    struct sandbox_permit *fourth[PERMITS_MAX];
    cr_assert_eq(take_all(share, 1, first), 12U);
    cr_expect_eq(take_all(share, 2, second), 2U);
    cr_expect_eq(take_all(share, 3, third), 2U);
    cr_expect_eq(take_all(share, 4, fourth), 0U, "more permits than slots");
    drop_all(third, 2);
    cr_expect_null(take(share, 1), "a workspace that bursts took from the last quarter");
    cr_expect_null(take(share, 2), "a workspace with its minimum took from the last quarter");
    cr_expect_eq(take_all(share, 4, fourth), 2U);
    drop_all(first, 12);
    drop_all(second, 2);
    drop_all(fourth, 2);
    talloc_free(share);
}

Test(sandbox_share, gives_a_small_process_all_its_slots)
{
    for (size_t total = 1; total < 4; total++) {
        struct sandbox_share *share = sandbox_share_new(NULL, total, 1, &no_limit, &no_limit, on_free, NULL);
        struct sandbox_permit *permits[PERMITS_MAX];
        cr_expect_eq(take_all(share, 1, permits), total);
        drop_all(permits, total);
        talloc_free(share);
    }
}

Test(sandbox_share, announces_a_free_permit_once_after_a_refusal)
{
    struct sandbox_share *share = sandbox_share_new(NULL, 2, 1, &no_limit, &no_limit, on_free, NULL);
    struct sandbox_permit *permits[PERMITS_MAX];
    freed = 0;
    sandbox_permit_unref(take(share, 1));
    cr_expect_eq(freed, 0, "nothing was refused");
    cr_assert_eq(take_all(share, 1, permits), 2U);
    sandbox_permit_ref(permits[0]);
    sandbox_permit_unref(permits[0]);
    cr_expect_eq(freed, 0, "a reference is left");
    drop_all(permits, 2);
    cr_expect_eq(freed, 1);
    sandbox_permit_unref(NULL);
    cr_expect_null(sandbox_permit_ref(NULL));
    talloc_free(share);
}
