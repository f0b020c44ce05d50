#include "executor/db_thread/commit_batch.h"

#include <talloc.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "executor/db_thread/write_commit.h"
#include "run/accept.h"
#include "run/stop_tree.h"

struct batch_state {
    struct commit_batch *b;
    struct account_locks accounts;
    struct run_tx *run_tx;
    /* NULL: no children */
    struct accept_batch *children;
};

/* What the caller cannot repeat with success is ERR_INTERNAL to it. */
static enum err batch_error(enum err e)
{
    return e == ERR_CONFLICT || e == ERR_NOT_FOUND ? ERR_INTERNAL : e;
}

/* --- one transaction for many runs --- */

/* Adds the ancestors of a run whose deadlines the commit changes. Parents never change. */
static enum err find_ancestors(struct db_tx *tx, struct commit *c)
{
    enum err e = OK;
    id below = c->run;
    c->ancestors_n = 0;
    while (e == OK && id_is_set(&c->root_id) && c->ancestors_n < COMMIT_ANCESTORS_MAX &&
           !id_equal(&below, &c->root_id)) {
        struct db_value args[] = {db_id(&c->root_id), db_id(&below)};
        struct db_rows *rows;
        e = db_run(tx->db, tx->ctx, SQL_EXECUTION_PARENT, args, 2, &rows);
        if (e != OK || rows->count == 0)
            break;
        below = c->ancestors[c->ancestors_n++] = db_get_id(rows, 0, EXECUTION_PARENT_PARENT_ID);
    }
    return e;
}

/* The commit's run, and its ancestors (find_ancestors). If the commit parks the run, also the children that
 * the run waits for. */
static id *add_commit_ids(struct db_tx *tx, id *ids, size_t *n, const struct commit *c)
{
    const struct commit_park *park = c->park;
    size_t children_n = park ? park->children_n : 0;
    ids = talloc_realloc(tx->ctx, ids, id, *n + 1 + children_n + c->ancestors_n);
    ids[(*n)++] = c->run;
    for (size_t i = 0; i < children_n; i++)
        ids[(*n)++] = park->children[i];
    for (size_t i = 0; i < c->ancestors_n; i++)
        ids[(*n)++] = c->ancestors[i];
    return ids;
}

static enum err lock_batch(struct db_tx *tx, struct batch_state *state)
{
    struct commit_batch *b = state->b;
    id *ids = NULL;
    size_t n = 0;
    enum err e = OK;
    for (size_t i = 0; e == OK && i < b->commits_n; i++) {
        e = find_ancestors(tx, b->commits[i]);
        ids = add_commit_ids(tx, ids, &n, b->commits[i]);
    }
    if (e != OK)
        return e;
    ids = talloc_realloc(tx->ctx, ids, id, n + b->claims.runs_n + b->children_n + 1);
    for (size_t i = 0; i < b->children_n; i++)
        ids[n++] = b->children[i]->parent.id; /* accepting locks it, too, and rows are locked in one order */
    for (size_t i = 0; i < b->claims.runs_n; i++)
        ids[n++] = b->claims.runs[i].run.id;
    return run_tx_lock(state->run_tx, ids, n, state->accounts.workspaces, state->accounts.n);
}

static enum err write_claims(struct db_tx *tx, struct batch_state *state)
{
    struct commit_batch *b = state->b;
    enum err e = OK;
    if (b->claims.offered)
        e = claim_offered_runs_again(tx, state->run_tx, b->thread_ctx, &b->claims);
    else if (b->claims.limit > 0)
        e = claim_queued_runs(tx, state->run_tx, b->thread_ctx, &b->claims);
    return e == OK ? write_first_commits(tx, state->run_tx, b->thread_ctx, &b->claims) : e;
}

static enum err write_batch_work(struct db_tx *tx, void *arg)
{
    struct batch_state *state = arg;
    struct commit_batch *b = state->b;
    bool repeated = state->run_tx != NULL;
    talloc_free(state->run_tx);
    state->run_tx = run_tx_begin(tx, NULL);
    if (!b->claims.offered)
        discard_claims(&b->claims);
    if (repeated && !b->claims.offered && b->claims.place)
        scan_place_reset(b->claims.place); /* what the execution before has seen was not claimed */
    enum err e = lock_batch(tx, state);
    for (size_t i = 0; e == OK && i < b->commits_n; i++)
        e = write_commit(tx, state->run_tx, b->thread_ctx->executor_id, b->commits[i]);
    if (e == OK)
        e = write_claims(tx, state);
    if (e == OK)
        e = run_tx_flush(state->run_tx);
    if (e == OK && state->children)
        e = accept_write(tx, state->children, state->run_tx);
    if (e == OK && b->before_commit)
        b->before_commit(b->before_commit_arg);
    failpoint("batch.before_commit");
    return e;
}

/* Locks in advance what is known to be needed: the accounts of ending runs whose workspaces limit their
 * concurrency. */
static void lock_known_accounts(struct batch_state *state)
{
    const struct commit_batch *b = state->b;
    for (size_t i = 0; b->limited_workspaces && i < b->commits_n; i++) {
        const struct commit *c = b->commits[i];
        if (c->has_move && workspace_is_limited(b->limited_workspaces, &c->workspace))
            account_locks_add(&state->accounts, &c->workspace);
    }
}

static void mark_uncertain(struct commit *const *commits, size_t n, enum err e)
{
    for (size_t i = 0; i < n; i++)
        commits[i]->outcome_uncertain = commits[i]->outcome_uncertain || e == ERR_UNCERTAIN;
}

/* True if the batch was to lock the workspace's account, and another transaction has locked it. */
static bool account_is_busy(const struct batch_state *state, const id *workspace)
{
    for (size_t i = 0; i < state->accounts.n; i++) {
        if (id_equal(&state->accounts.workspaces[i], workspace))
            return !run_tx_has_account(state->run_tx, workspace);
    }
    return false;
}

/* Takes out of the batch what needs an account that is locked. Only moves need one. A first commit that is
 * not written with its claim comes back as a commit by itself. False: no account is locked. */
static bool put_off_busy(struct batch_state *state)
{
    struct commit_batch *b = state->b;
    struct account_locks left = {0};
    size_t n = 0;
    for (size_t i = 0; i < b->commits_n; i++) {
        struct commit *c = b->commits[i];
        if (c->has_move && account_is_busy(state, &c->workspace))
            b->busy[b->busy_n++] = c;
        else
            b->commits[n++] = c;
    }
    b->commits_n = n;
    for (size_t i = 0; i < b->claims.runs_n; i++) {
        struct claimed_run *c = &b->claims.runs[i];
        c->write_separately = c->write_separately || (c->first_commit && c->first_commit->has_move &&
                                                      account_is_busy(state, &c->run.workspace_id));
    }
    for (size_t i = 0; i < state->accounts.n; i++) {
        if (!account_is_busy(state, &state->accounts.workspaces[i]))
            account_locks_add(&left, &state->accounts.workspaces[i]);
    }
    bool any = left.n < state->accounts.n;
    state->accounts = left;
    return any;
}

/* ERR_CONFLICT has two causes that another execution of the transaction removes: an account was needed that
 * was not locked, or the loop refused the offer. */
static enum err run_batch(struct batch_state *state)
{
    struct claim_batch *claims = &state->b->claims;
    for (;;) {
        bool wanted_claims = claims->limit > 0;
        enum err e = db_transaction(state->b->thread_ctx->db, write_batch_work, state);
        if (e == ERR_RETRY && state->run_tx && put_off_busy(state)) {
            if (state->b->commits_n == 0 && claims->limit == 0 && claims->runs_n == 0 && !state->children)
                return OK;
            continue;
        }
        if (e != ERR_CONFLICT || !state->run_tx)
            return e;
        bool offer_refused = wanted_claims && claims->limit == 0;
        if (!account_locks_add_missing(&state->accounts, state->run_tx) && !offer_refused)
            return e;
    }
}

enum err commit_batch_write(struct commit_batch *b)
{
    struct batch_state state = {.b = b};
    lock_known_accounts(&state);
    choose_first_commits(&b->claims);
    void *scratch = talloc_new(NULL);
    if (b->children_n > 0)
        state.children = accept_begin(scratch, b->children, b->children_n, b->answers);
    enum err e = run_batch(&state);
    if (e == OK) {
        if (b->limited_workspaces)
            limited_workspaces_learn(b->limited_workspaces, &state.accounts, state.run_tx);
        run_tx_publish(state.run_tx, b->thread_ctx->redis);
    } else if (!b->claims.offered) {
        discard_claims(&b->claims);
    }
    if (state.children)
        accept_end(state.children, b->thread_ctx->redis, e);
    talloc_free(scratch);
    mark_uncertain(b->commits, b->commits_n, e);
    talloc_free(state.run_tx);
    return batch_error(e);
}

/* --- one transaction for a tree --- */

struct tree_state {
    struct commit *commit;
    uint64_t executor_id;
    struct run_tx *run_tx;
};

static enum err write_tree_work(struct db_tx *tx, void *arg)
{
    struct tree_state *state = arg;
    struct commit *c = state->commit;
    talloc_free(state->run_tx);
    state->run_tx = run_tx_begin(tx, NULL);
    bool all;
    enum err e = find_ancestors(tx, c);
    if (e == OK)
        e = run_tx_lock_tree(state->run_tx, &c->workspace, &c->run, c->ancestors, c->ancestors_n, &all);
    if (e == OK)
        e = write_commit(tx, state->run_tx, state->executor_id, c);
    if (e == OK && !c->fenced)
        e = run_stop_others(state->run_tx, run_tx_find(state->run_tx, &c->run), all, clock_wall_ms());
    return e == OK ? run_tx_flush(state->run_tx) : e;
}

enum err commit_write_tree(struct db_thread_ctx *thread_ctx, struct commit *c)
{
    struct tree_state state = {.commit = c, .executor_id = thread_ctx->executor_id};
    enum err e = db_transaction(thread_ctx->db, write_tree_work, &state);
    if (e == OK)
        run_tx_publish(state.run_tx, thread_ctx->redis);
    mark_uncertain(&c, 1, e);
    talloc_free(state.run_tx);
    return batch_error(e);
}
