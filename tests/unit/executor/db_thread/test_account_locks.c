#include <criterion/criterion.h>
#include <stdio.h>

#include "executor/db_thread/account_locks.h"

static id workspace_id(int n)
{
    id i = {{0}};
    snprintf(i.text, sizeof i.text, "00000000-0000-7000-8000-%012d", n);
    return i;
}

Test(account_locks, hold_each_workspace_once_up_to_a_batch)
{
    struct account_locks locks = {0};
    for (int round = 0; round < 2; round++) {
        for (int n = 0; n < COMMIT_BATCH_MAX; n++) {
            id workspace = workspace_id(n);
            account_locks_add(&locks, &workspace);
        }
    }
    cr_assert_eq(locks.n, (size_t)COMMIT_BATCH_MAX);
    id further = workspace_id(COMMIT_BATCH_MAX);
    account_locks_add(&locks, &further);
    cr_assert_eq(locks.n, (size_t)COMMIT_BATCH_MAX, "there is no room for another one");
    for (int n = 0; n < COMMIT_BATCH_MAX; n++) {
        id workspace = workspace_id(n);
        cr_expect(id_equal(&locks.workspaces[n], &workspace));
    }
}

Test(account_locks, nothing_is_known_as_limited_at_first)
{
    struct limited_workspaces limited = {0};
    id workspace = workspace_id(1);
    cr_assert_not(workspace_is_limited(&limited, &workspace));
    limited.workspaces[limited.n++] = workspace;
    cr_assert(workspace_is_limited(&limited, &workspace));
}
