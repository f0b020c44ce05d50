#include <criterion/criterion.h>

#include "executor/db_thread/batch_shares.h"

Test(batch_shares, large_commits_of_one_workspace_leave_room_for_others)
{
    struct batch_shares batch = {.n = 0};
    id a = id_new(), b = id_new();
    cr_assert(batch_share_take(&batch, &a, BATCH_WORKSPACE_BYTES - 10));
    cr_assert_not(batch_share_take(&batch, &a, 11));
    cr_assert(batch_share_take(&batch, &a, 10));
    cr_assert_not(batch_share_take(&batch, &a, 1));
    cr_assert(batch_share_take(&batch, &b, 1));
    cr_assert(batch_share_take(&batch, &b, BATCH_WORKSPACE_BYTES - 1));
}

Test(batch_shares, a_commit_that_is_larger_than_a_share_is_written_alone_of_its_workspace)
{
    struct batch_shares batch = {.n = 0};
    id a = id_new(), b = id_new();
    cr_assert(batch_share_take(&batch, &a, 2 * BATCH_WORKSPACE_BYTES));
    cr_assert_not(batch_share_take(&batch, &a, 1));
    cr_assert(batch_share_take(&batch, &b, 1));
}

Test(batch_shares, a_full_batch_takes_nothing)
{
    struct batch_shares batch = {.n = 0};
    for (int i = 0; i < BATCH_BYTES / BATCH_WORKSPACE_BYTES; i++) {
        id workspace = id_new();
        cr_assert(batch_share_take(&batch, &workspace, BATCH_WORKSPACE_BYTES));
    }
    id late = id_new();
    cr_assert_not(batch_share_take(&batch, &late, 1));
}
