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
