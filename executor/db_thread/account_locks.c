#include "executor/db_thread/account_locks.h"

static size_t limited_workspace_index(const struct limited_workspaces *l, const id *workspace)
{
    size_t index = 0;
    while (index < l->n && !id_equal(&l->workspaces[index], workspace))
        index++;
    return index;
}

bool workspace_is_limited(const struct limited_workspaces *l, const id *workspace)
{
    return limited_workspace_index(l, workspace) < l->n;
}

static void remember_limited(struct limited_workspaces *l, const id *workspace)
{
    if (l->n < COMMIT_BATCH_MAX)
        l->workspaces[l->n++] = *workspace;
    else
        l->workspaces[l->next++ % COMMIT_BATCH_MAX] = *workspace;
}

void limited_workspaces_learn(struct limited_workspaces *l, const struct account_locks *locked,
                              const struct run_tx *run_tx)
{
    for (size_t i = 0; i < locked->n; i++) {
        const id *workspace = &locked->workspaces[i];
        bool limited = run_tx_needs_account(run_tx, workspace);
        size_t index = limited_workspace_index(l, workspace);
        if (index < l->n && !limited)
            l->workspaces[index] = l->workspaces[--l->n];
        else if (index == l->n && limited)
            remember_limited(l, workspace);
    }
}

void account_locks_add(struct account_locks *locks, const id *workspace)
{
    if (locks->n < COMMIT_BATCH_MAX && !id_is_in(locks->workspaces, locks->n, workspace))
        locks->workspaces[locks->n++] = *workspace;
}

bool account_locks_add_missing(struct account_locks *locks, const struct run_tx *run_tx)
{
    size_t missing_n;
    const id *missing = run_tx_missing_accounts(run_tx, &missing_n);
    size_t before = locks->n;
    for (size_t i = 0; i < missing_n; i++)
        account_locks_add(locks, &missing[i]);
    return locks->n > before;
}
