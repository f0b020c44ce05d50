#include <talloc.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "executor/db_thread/commit.h"

enum {
    /* A command's timeout counts from its start: so long a claimed run may wait for that, for its files and
     * in line with others. */
    SKILL_START_WAIT_MS = 10 * 60 * 1000,
};

struct needed_accounts { /* accounts that a batch needs locked */
    id accounts[COMMIT_BATCH_MAX];
    size_t n;
};

struct batch_state {
    struct commit_batch *b;
    struct commit *tree_commit;
    struct needed_accounts needed;
    struct run_tx *run_tx;
};

/* --- commits --- */

/* Whether an earlier run of the transaction, whose answer was lost, had written this one. A stop may have
 * come in between: then the run is not ours any more, whatever was written. */
static bool commit_already_written(const struct db_thread_ctx *thread_ctx, const struct commit *c,
                                   const struct run *r)
{
    enum run_state to = STATE_RUNNING;
    if (c->seq_after == 0 || r->last_seq < c->seq_after)
        return false;
    return c->has_move ? state_may(STATE_RUNNING, c->move.move, &to) && r->state == to
                       : run_is_ours(r, thread_ctx->executor_id, c->attempt);
}

static enum err write_skill_result(struct db_tx *tx, const struct commit *c)
{
    enum err e = usage_put(tx, &c->run, c->usage);
    if (e == OK && (c->artifacts_n > 0 || c->attempt > 0))
        e = artifact_put_all(tx, &c->run, c->artifacts, c->artifacts_n);
    return e;
}

static enum err write_commit(struct db_tx *tx, struct batch_state *state, struct commit *c)
{
    struct run_tx *w = state->run_tx;
    struct run *r = run_tx_find(w, &c->run);
    c->fenced = false;
    if (r && (tx->settling || c->outcome_uncertain) && commit_already_written(state->b->thread_ctx, c, r)) {
        r->changed = true; /* written again, so that the log is flushed before anybody acts on it */
        return OK;
    }
    c->seq_after = 0;
    c->fenced = !r || !run_is_ours(r, state->b->thread_ctx->executor_id, c->attempt);
    if (c->fenced)
        return c->usage ? usage_put_late(tx, &c->run, c->attempt, c->usage, c->artifacts, c->artifacts_n)
                        : OK;
    r->side_effects_started = (r->side_effects_started || c->side_effects_started) && !c->nothing_started;
    for (size_t i = 0; i < c->steps_n; i++)
        run_step(w, r, &c->steps[i]);
    for (size_t i = 0; i < c->events_n; i++)
        run_event(w, r, c->events[i].type, c->events[i].at_ms, c->events[i].data);
    enum err e = c->has_move ? run_move(w, r, &c->move) : OK;
    if (e == OK && c->usage)
        e = write_skill_result(tx, c);
    c->seq_after = c->events_n > 0 || c->has_move ? r->last_seq : 0;
    return e;
}

/* --- claims --- */

static enum err read_claimed_inputs(struct db_tx *tx, struct commit_batch *b)
{
    struct db_value *ids = talloc_array(tx->ctx, struct db_value, b->claimed_n);
    struct db_rows *rows;
    for (size_t i = 0; i < b->claimed_n; i++)
        ids[i] = db_id(&b->claimed[i].run.id);
    enum err e = db_run_each(tx->db, b->claimed, SQL_EXECUTOR_INPUTS, NULL, 0, ids, 1, b->claimed_n, &rows);
    for (size_t r = 0; e == OK && r < rows->count; r++) {
        id run = db_get_id(rows, r, EXECUTOR_INPUTS_ID);
        for (size_t i = 0; i < b->claimed_n; i++) {
            struct claimed_run *c = &b->claimed[i];
            if (!id_equal(&c->run.id, &run))
                continue;
            c->principal_id = db_get_id(rows, r, EXECUTOR_INPUTS_PRINCIPAL_ID);
            c->input = db_str(rows, r, EXECUTOR_INPUTS_INPUT);
            c->tags = db_str(rows, r, EXECUTOR_INPUTS_TAGS);
            c->metadata = db_str(rows, r, EXECUTOR_INPUTS_METADATA);
            c->extra = db_str(rows, r, EXECUTOR_INPUTS_EXTRA);
            c->concurrency_limited = !db_cell(rows, r, EXECUTOR_INPUTS_MAX_CONCURRENT)->is_null;
        }
    }
    return e;
}

/* What an earlier attempt has left: its steps, where this one goes on. */
static enum err read_claimed_steps(struct db_tx *tx, struct commit_batch *b, struct claimed_run *c)
{
    struct db_value run = db_id(&c->run.id);
    struct db_rows *rows;
    if (c->run.attempt == 0)
        return OK;
    enum err e = db_run(tx->db, b->claimed, SQL_EXECUTOR_STEPS, &run, 1, &rows);
    if (e != OK)
        return e;
    c->steps = talloc_zero_array(b->claimed, struct stored_step, rows->count);
    c->steps_n = rows->count;
    for (size_t r = 0; r < rows->count; r++) {
        c->steps[r] = (struct stored_step){
            .step = (int)db_int(rows, r, EXECUTOR_STEPS_STEP),
            .item = (int)db_int(rows, r, EXECUTOR_STEPS_ITEM),
            .status = (enum step_status)db_int(rows, r, EXECUTOR_STEPS_STATUS),
            .tries = (int)db_int(rows, r, EXECUTOR_STEPS_TRIES),
            .answers = (int)db_int(rows, r, EXECUTOR_STEPS_ANSWERS),
            .due_ms = db_int(rows, r, EXECUTOR_STEPS_DUE_MS),
            .started_ms = db_int(rows, r, EXECUTOR_STEPS_STARTED_MS),
            .result = db_str(rows, r, EXECUTOR_STEPS_RESULT),
            .error = db_str(rows, r, EXECUTOR_STEPS_ERROR),
        };
    }
    return OK;
}

static int free_claimed(struct claimed_run *list)
{
    for (size_t i = 0; i < talloc_array_length(list); i++)
        cached_program_unref(list[i].program);
    for (size_t i = 0; i < talloc_array_length(list); i++)
        cached_skill_unref(list[i].skill);
    return 0;
}

static int64_t skill_deadline_ms(const struct manifest *m) /* from the claim */
{
    return m->timeout_ms + (m->runner == RUNNER_COMMAND ? SKILL_START_WAIT_MS : 0);
}

static enum err load_responder(struct db_tx *tx, struct commit_batch *b, const struct run *r,
                               struct claimed_run *c, int64_t *timeout_ms_r)
{
    enum err e;
    if (r->kind == KIND_SKILL) {
        e = compiled_skills_get(compiled_programs_skills(b->programs), tx->db, &r->workspace_id,
                                &r->responder_id, r->version, &c->skill);
        if (e == OK)
            *timeout_ms_r = skill_deadline_ms(cached_skill_manifest(c->skill));
    } else {
        e = compiled_programs_get(b->programs, tx->db, &r->responder_id, r->version, &c->program);
        if (e == OK)
            *timeout_ms_r = cached_program_compiled(c->program)->timeout_ms;
    }
    return e;
}

static enum err move_to_running(struct batch_state *state, struct run *r, struct claimed_run *c,
                                int64_t at_ms, int64_t deadline_ms)
{
    /* A skill's runner is started right away. A step of a workflow is told of before it starts. */
    r->side_effects_started = r->side_effects_started || c->skill;
    struct run_move move = {.move = MOVE_CLAIM,
                            .at_ms = at_ms,
                            .executor_id = state->b->thread_ctx->executor_id,
                            .deadline_ms = deadline_ms};
    return run_move(state->run_tx, r, &move);
}

static enum err claim_one(struct db_tx *tx, struct batch_state *state, struct run *r, struct claimed_run *c)
{
    int64_t timeout_ms = PROGRAM_SECONDS_DEFAULT * 1000L;
    enum err e = load_responder(tx, state->b, r, c, &timeout_ms);
    if (e != OK && e != ERR_NOT_FOUND && e != ERR_INVALID)
        return e;
    c->earlier_side_effects = r->side_effects_started;
    c->concurrency_limited = true; /* until it is read */
    c->claimed_ms = clock_wall_ms();
    e = move_to_running(state, r, c, c->claimed_ms, c->claimed_ms + timeout_ms);
    c->run = *r;
    return e;
}

static void discard_claims(struct commit_batch *b)
{
    talloc_free(b->claimed);
    b->claimed = NULL;
    b->claimed_n = 0;
}

/* Which first commits are written with their claims. Not those that lock more than the run's row (a tree; the
 * account, where concurrency is limited), and no more than one transaction should hold. */
static void choose_first_commits(struct commit_batch *b)
{
    size_t bytes = 0;
    for (size_t i = 0; i < b->claimed_n; i++) {
        struct claimed_run *c = &b->claimed[i];
        if (!c->first_commit)
            continue;
        c->write_separately = b->write_first_commits_separately || c->first_commit->stop_descendants ||
                              (c->concurrency_limited && c->first_commit->has_move) ||
                              bytes > b->first_commits_bytes_max;
        bytes += c->first_commit->bytes;
    }
}

static enum err write_first_commits(struct db_tx *tx, struct batch_state *state)
{
    struct commit_batch *b = state->b;
    enum err e = OK;
    for (size_t i = 0; e == OK && i < b->claimed_n; i++) {
        struct claimed_run *c = &b->claimed[i];
        if (c->first_commit && !c->fenced && !c->write_separately)
            e = write_commit(tx, state, c->first_commit);
    }
    return e;
}

/* Reads what the runs need to go on, and has them go. */
static enum err begin_claims(struct db_tx *tx, struct batch_state *state, size_t before)
{
    struct commit_batch *b = state->b;
    enum err e = read_claimed_inputs(tx, b);
    for (size_t i = 0; e == OK && i < b->claimed_n; i++) {
        run_tx_at(state->run_tx, before + i)->unlimited = !b->claimed[i].concurrency_limited;
        e = read_claimed_steps(tx, b, &b->claimed[i]);
    }
    if (e != OK)
        return e;
    b->claims_begun = b->begin_in_claim(b);
    if (!b->claims_begun) {
        b->claim_limit = 0;
        return ERR_CONFLICT;
    }
    choose_first_commits(b);
    return OK;
}

static enum err claim_queued_runs(struct db_tx *tx, struct batch_state *state)
{
    struct commit_batch *b = state->b;
    enum err e = OK;
    size_t before = run_tx_count(state->run_tx);
    if (b->queued_ids_n > 0)
        e = run_tx_lock_queued(state->run_tx, b->queued_ids, b->queued_ids_n, b->claim_limit);
    size_t found = run_tx_count(state->run_tx) - before;
    if (e == OK && b->scan && found == 0)
        e = run_tx_lock_queued(state->run_tx, NULL, 0, b->claim_limit);
    found = run_tx_count(state->run_tx) - before;
    if (e != OK || found == 0)
        return e;
    b->claimed = talloc_zero_array(b->holder, struct claimed_run, found);
    talloc_set_destructor(b->claimed, free_claimed);
    for (size_t i = 0; e == OK && i < found; i++) {
        b->claimed_n++;
        e = claim_one(tx, state, run_tx_at(state->run_tx, before + i), &b->claimed[i]);
    }
    return e == OK ? begin_claims(tx, state, before) : e;
}

/* Whether an earlier run of the transaction, whose answer was lost, had claimed it (and written the first
 * commit, where that goes with it). */
static bool claim_already_written(const struct batch_state *state, const struct claimed_run *c,
                                  const struct run *r)
{
    if (c->first_commit && !c->write_separately && c->first_commit->seq_after > 0)
        return commit_already_written(state->b->thread_ctx, c->first_commit, r);
    return run_is_ours(r, c->run.executor_id, c->run.attempt) && r->last_seq == c->run.last_seq;
}

/* The runs were offered in an earlier run of the transaction, have perhaps gone on since, and were not locked
 * in between: those that are still queued, at the same attempt, are claimed as before. */
static enum err rewrite_claims(struct db_tx *tx, struct batch_state *state)
{
    enum err e = OK;
    for (size_t i = 0; e == OK && i < state->b->claimed_n; i++) {
        struct claimed_run *c = &state->b->claimed[i];
        struct run *r = run_tx_find(state->run_tx, &c->run.id);
        c->fenced = false;
        if (r && tx->settling && claim_already_written(state, c, r))
            r->changed = true; /* written again, so that the log is flushed before anybody acts on it */
        else if (r && r->state == STATE_QUEUED && r->attempt == c->run.attempt)
            e = move_to_running(state, r, c, c->claimed_ms, c->run.deadline_ms);
        else
            c->fenced = true;
    }
    return e;
}

/* --- the transaction --- */

static enum err lock_batch(struct db_tx *tx, struct batch_state *state)
{
    struct commit_batch *b = state->b;
    id *ids = talloc_array(tx->ctx, id, b->commits_n + b->claimed_n + 1);
    size_t n = 0;
    for (size_t i = 0; i < b->commits_n; i++)
        ids[n++] = b->commits[i]->run;
    for (size_t i = 0; i < b->claimed_n; i++)
        ids[n++] = b->claimed[i].run.id;
    return run_tx_lock(state->run_tx, ids, n, state->needed.accounts, state->needed.n);
}

static enum err write_batch_work(struct db_tx *tx, void *arg)
{
    struct batch_state *state = arg;
    struct commit_batch *b = state->b;
    talloc_free(state->run_tx);
    state->run_tx = run_tx_begin(tx, b->holder);
    if (!b->claims_begun)
        discard_claims(b);
    enum err e = lock_batch(tx, state);
    for (size_t i = 0; e == OK && i < b->commits_n; i++)
        e = write_commit(tx, state, b->commits[i]);
    if (e == OK && b->claims_begun)
        e = rewrite_claims(tx, state);
    else if (e == OK && b->claim_limit > 0)
        e = claim_queued_runs(tx, state);
    if (e == OK)
        e = write_first_commits(tx, state);
    if (e == OK)
        e = run_tx_flush(state->run_tx);
    failpoint("batch.before_commit");
    return e;
}

/* --- accounts --- */

static void need_account(struct batch_state *state, const id *workspace)
{
    for (size_t i = 0; i < state->needed.n; i++) {
        if (id_equal(&state->needed.accounts[i], workspace))
            return;
    }
    if (state->needed.n < COMMIT_BATCH_MAX)
        state->needed.accounts[state->needed.n++] = *workspace;
}

static bool need_wanted_accounts(struct batch_state *state)
{
    size_t n;
    const id *wanted = run_tx_missing_accounts(state->run_tx, &n);
    size_t had = state->needed.n;
    for (size_t i = 0; i < n; i++)
        need_account(state, &wanted[i]);
    return state->needed.n > had;
}

static size_t limited_workspace_index(const struct limited_workspaces *l, const id *workspace)
{
    size_t index = 0;
    while (index < l->n && !id_equal(&l->workspaces[index], workspace))
        index++;
    return index;
}

/* The accounts that are known to be needed. */
static void need_known_accounts(struct batch_state *state)
{
    for (size_t i = 0; state->b->limited_workspaces && i < state->b->commits_n; i++) {
        const struct commit *c = state->b->commits[i];
        if (c->has_move && limited_workspace_index(state->b->limited_workspaces, &c->workspace) <
                               state->b->limited_workspaces->n)
            need_account(state, &c->workspace);
    }
}

/* Which of the locked accounts limit concurrency is remembered, or forgotten. */
static void remember_limited_workspaces(struct batch_state *state)
{
    struct limited_workspaces *l = state->b->limited_workspaces;
    for (size_t i = 0; l && i < state->needed.n; i++) {
        const id *workspace = &state->needed.accounts[i];
        bool limited = run_tx_limits_concurrency(state->run_tx, workspace);
        size_t index = limited_workspace_index(l, workspace);
        if (index < l->n && !limited) {
            l->workspaces[index] = l->workspaces[--l->n];
        } else if (index == l->n && limited) {
            l->n += l->n < COMMIT_BATCH_MAX;
            index = index < COMMIT_BATCH_MAX ? index : l->next++ % COMMIT_BATCH_MAX;
            l->workspaces[index] = *workspace;
        }
    }
}

static void mark_uncertain(struct commit_batch *b, enum err e)
{
    for (size_t i = 0; i < b->commits_n; i++)
        b->commits[i]->outcome_uncertain = b->commits[i]->outcome_uncertain || e == ERR_UNCERTAIN;
}

enum err commit_batch_write(struct commit_batch *b)
{
    struct batch_state state = {.b = b};
    bool claims;
    enum err e;
    need_known_accounts(&state);
    choose_first_commits(b);
    do {
        claims = b->claim_limit > 0;
        e = db_transaction(b->thread_ctx->db, write_batch_work, &state);
    } while (e == ERR_CONFLICT && state.run_tx &&
             (need_wanted_accounts(&state) || (claims && b->claim_limit == 0)));
    if (e == OK) {
        remember_limited_workspaces(&state);
        run_tx_publish(state.run_tx, b->thread_ctx->redis);
    } else if (!b->claims_begun) {
        discard_claims(b);
    }
    mark_uncertain(b, e);
    talloc_free(state.run_tx);
    return e == ERR_CONFLICT || e == ERR_NOT_FOUND ? ERR_INTERNAL : e;
}

static enum err write_tree_work(struct db_tx *tx, void *arg)
{
    struct batch_state *state = arg;
    struct commit *c = state->tree_commit;
    talloc_free(state->run_tx);
    state->run_tx = run_tx_begin(tx, c);
    enum err e = run_tx_lock_tree(state->run_tx, &c->workspace, &c->run);
    if (e == OK)
        e = write_commit(tx, state, c);
    struct run_move stop = {
        .move = MOVE_STOP, .at_ms = clock_wall_ms(), .error = "the run that started it has ended"};
    for (size_t i = 0; e == OK && !c->fenced && i < run_tx_count(state->run_tx); i++) {
        struct run *r = run_tx_at(state->run_tx, i);
        if (!state_is_terminal(r->state) && !id_equal(&r->id, &c->run))
            e = run_move(state->run_tx, r, &stop);
    }
    return e == OK ? run_tx_flush(state->run_tx) : e;
}

enum err commit_batch_write_tree(struct commit_batch *b, struct commit *c)
{
    struct batch_state state = {.b = b, .tree_commit = c};
    enum err e = db_transaction(b->thread_ctx->db, write_tree_work, &state);
    if (e == OK)
        run_tx_publish(state.run_tx, b->thread_ctx->redis);
    mark_uncertain(b, e);
    talloc_free(state.run_tx);
    return e == ERR_CONFLICT || e == ERR_NOT_FOUND ? ERR_INTERNAL : e;
}
