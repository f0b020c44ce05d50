/* The transaction of the database thread: commits of several runs and, if wanted, the claims of new ones.
 * Publishes to Redis after the COMMIT. Database thread only.
 *
 * Both functions return ERR_UNAVAILABLE or ERR_RETRY if nothing was done, ERR_UNCERTAIN if it may have been
 * done (the same batch, or parts of it, can be given again), and ERR_INTERNAL if one of the commits cannot be
 * written, or one of the children. */
#pragma once

#include "executor/db_thread/account_locks.h"
#include "executor/db_thread/claim_batch.h"
#include "executor/db_thread/commit.h"
#include "run/accept_types.h"

struct commit_batch {
    struct db_thread_ctx *thread_ctx;
    struct commit *commits[COMMIT_BATCH_MAX];
    size_t commits_n;
    /* Set by commit_batch_write: commits that were taken out of `commits` because they need an account that
     * another transaction has locked. Nothing was done for them; the caller submits them again later. */
    struct commit *busy[COMMIT_BATCH_MAX];
    size_t busy_n;
    /* Zeroed: no claims. */
    struct claim_batch claims;
    /* Children that are accepted when the commits are written, up to ACCEPT_GROUP_MAX, and the answers; 0:
     * none. A batch with children has no claims: its transaction locks the accounts of the children, and
     * would keep them locked while it waits for the loop to begin the claimed runs. */
    const struct run_request *const *children;
    struct run_answer *answers;
    size_t children_n;
    /* NULL: nothing is remembered. */
    struct limited_workspaces *limited_workspaces;
    /* All rows are written, and COMMIT comes next. Called again if the transaction is repeated. NULL: nobody
     * wants to know. */
    void (*before_commit)(void *arg);
    void *before_commit_arg;
};

/* A run whose claim was offered to the loop and is not written after all, either because the batch failed or
 * because it is marked `fenced`, must be reported to the loop by the caller. */
enum err commit_batch_write(struct commit_batch *b) WARN_UNUSED;

/* ERR_RETRY: the account is locked by another transaction.
 *
 * A commit whose move stops all descendants of its run has a separate transaction, which locks the account
 * and the whole tree. */
enum err commit_write_tree(struct db_thread_ctx *thread_ctx, struct commit *c) WARN_UNUSED;
