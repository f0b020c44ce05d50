#include <criterion/criterion.h>
#include <talloc.h>

#include "stream/workspace_count.h"

Test(workspace_counts, each_workspace_has_its_own_limit)
{
    void *ctx = talloc_new(NULL);
    struct workspace_counts *counts = workspace_counts_new(ctx);
    id mine = id_new(), theirs = id_new();
    cr_assert(workspace_counts_add(counts, &mine, 2));
    cr_assert(workspace_counts_add(counts, &mine, 2));
    cr_assert_not(workspace_counts_add(counts, &mine, 2));
    cr_assert(workspace_counts_add(counts, &theirs, 2));
    cr_assert_not(workspace_counts_add(counts, &theirs, 0));
    workspace_counts_remove(counts, &mine);
    cr_assert_eq(workspace_counts_get(counts, &mine), 1);
    cr_assert(workspace_counts_add(counts, &mine, 2));
    workspace_counts_remove(counts, &theirs);
    cr_assert_eq(workspace_counts_get(counts, &theirs), 0);
    cr_assert_eq(workspace_counts_get(counts, &mine), 2);
    talloc_free(ctx);
}

Test(workspace_counts, bytes_are_limited_for_each_and_for_all)
{
    void *ctx = talloc_new(NULL);
    struct workspace_counts *counts = workspace_counts_new(ctx);
    id mine = id_new(), theirs = id_new();
    cr_assert(workspace_counts_add(counts, &mine, 9));
    cr_assert(workspace_counts_add(counts, &theirs, 9));
    cr_assert(workspace_counts_hold(counts, &mine, 40, 60, 100));
    cr_assert(workspace_counts_hold(counts, &mine, 20, 60, 100));
    cr_assert_not(workspace_counts_hold(counts, &mine, 1, 60, 100));
    cr_assert_not(workspace_counts_hold(counts, &theirs, 41, 60, 100), "all would hold 101");
    cr_assert_not(workspace_counts_hold(counts, &theirs, 61, 60, 1000));
    cr_assert(workspace_counts_hold(counts, &theirs, 40, 60, 100));
    cr_assert_eq(workspace_counts_held(counts), 100);
    workspace_counts_release(counts, &mine, 40);
    cr_assert_eq(workspace_counts_held(counts), 60);
    cr_assert(workspace_counts_hold(counts, &theirs, 20, 60, 100));
    cr_assert_not(workspace_counts_hold(counts, &theirs, 1, 60, 100));
    talloc_free(ctx);
}
