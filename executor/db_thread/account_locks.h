/* Which accounts a transaction of the database thread locks first.
 *
 * Most commits need no account. A refund needs it, and so does the end of a root run whose workspace limits
 * its concurrency. Finding that out inside the transaction costs a rollback, so workspaces that were seen to
 * limit their concurrency are remembered. Database thread only. */
#pragma once

#include "executor/db_thread/job.h"
#include "run/run_tx.h"

/* Workspaces that were seen to limit their concurrency; the oldest makes room. Zeroed: none. */
struct limited_workspaces {
    id workspaces[COMMIT_BATCH_MAX];
    size_t n, next;
};

/* The accounts that one transaction locks. Zeroed: none. */
struct account_locks {
    id workspaces[COMMIT_BATCH_MAX];
    size_t n;
};

bool workspace_is_limited(const struct limited_workspaces *l, const id *workspace);
/* Remembers or forgets each workspace whose account `run_tx` has locked. */
void limited_workspaces_learn(struct limited_workspaces *l, const struct account_locks *locked,
                              const struct run_tx *run_tx);

/* No effect on a workspace that is in it, or if it is full. */
void account_locks_add(struct account_locks *locks, const id *workspace);
/* Adds the accounts that `run_tx` was refused for. False if there is no new one. */
bool account_locks_add_missing(struct account_locks *locks, const struct run_tx *run_tx);
