#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "executor/db_thread/commit.h"

enum {
    /* A command's timeout counts from its start: so long a claimed run may wait for that, for its files and
     * in line with others. */
    SKILL_LINE_MS = 10 * 60 * 1000,
};

struct wanted { /* accounts that a batch needs locked */
    id accounts[WRITER_BATCH_MAX];
    size_t n;
};

struct writing {
    struct batch *b;
    struct commit *tree;
    struct wanted wanted;
    struct run_writes *writes;
};

/* --- commits --- */

/* Whether an earlier run of the transaction, whose answer was lost, had written this one. A stop may have
 * come in between: then the run is not ours any more, whatever was written. */
static bool had_committed(const struct writer_hands *hands, const struct commit *c, const struct run *r)
{
    enum state to = STATE_RUNNING;
    if (c->seq_after == 0 || r->last_seq < c->seq_after)
        return false;
    return c->has_move ? state_may(STATE_RUNNING, c->move.move, &to) && r->state == to
                       : run_is_ours(r, hands->executor_id, c->attempt);
}

static enum err write_skill(struct db_tx *tx, const struct commit *c)
{
    enum err e = usage_put(tx, &c->run, c->usage);
    if (e == OK && (c->artifacts_n > 0 || c->attempt > 0))
        e = artifact_put_all(tx, &c->run, c->artifacts, c->artifacts_n);
    return e;
}

static enum err write_commit(struct db_tx *tx, struct writing *g, struct commit *c)
{
    struct run_writes *w = g->writes;
    struct run *r = run_writes_find(w, &c->run);
    c->fenced = false;
    if (r && (tx->settling || c->unsettled) && had_committed(g->b->hands, c, r)) {
        r->changed = true; /* written again, so that the log is flushed before anybody acts on it */
        return OK;
    }
    c->seq_after = 0;
    c->fenced = !r || !run_is_ours(r, g->b->hands->executor_id, c->attempt);
    if (c->fenced)
        return c->usage ? usage_put_late(tx, &c->run, c->attempt, c->usage, c->artifacts, c->artifacts_n)
                        : OK;
    r->effects = (r->effects || c->effects) && !c->nothing_started;
    for (size_t i = 0; i < c->steps_n; i++)
        run_step(w, r, &c->steps[i]);
    for (size_t i = 0; i < c->events_n; i++)
        run_event(w, r, c->events[i].type, c->events[i].at_ms, c->events[i].data);
    enum err e = c->has_move ? run_move(w, r, &c->move) : OK;
    if (e == OK && c->usage)
        e = write_skill(tx, c);
    c->seq_after = c->events_n > 0 || c->has_move ? r->last_seq : 0;
    return e;
}

/* --- claims --- */

static enum err read_inputs(struct db_tx *tx, struct batch *b)
{
    struct db_value *ids = talloc_array(tx->ctx, struct db_value, b->claimed_n);
    struct db_rows *rows;
    for (size_t i = 0; i < b->claimed_n; i++)
        ids[i] = db_id(&b->claimed[i].run.id);
    enum err e = db_run_each(tx->db, b->claimed, SQL_EXECUTOR_INPUTS, NULL, 0, ids, 1, b->claimed_n, &rows);
    for (size_t r = 0; e == OK && r < rows->count; r++) {
        id run = db_get_id(rows, r, 0);
        for (size_t i = 0; i < b->claimed_n; i++) {
            struct claimed *c = &b->claimed[i];
            if (strcmp(c->run.id.text, run.text) != 0)
                continue;
            c->principal_id = db_get_id(rows, r, 1);
            c->input = db_str(rows, r, 2);
            c->tags = db_str(rows, r, 3);
            c->metadata = db_str(rows, r, 4);
            c->extra = db_str(rows, r, 5);
            c->limited = !db_cell(rows, r, 6)->is_null;
        }
    }
    return e;
}

/* What an earlier attempt has left: its steps, where this one goes on. */
static enum err read_steps(struct db_tx *tx, struct batch *b, struct claimed *c)
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
            .step = (int)db_int(rows, r, 0),
            .item = (int)db_int(rows, r, 1),
            .status = (enum step_status)db_int(rows, r, 2),
            .tries = (int)db_int(rows, r, 3),
            .answers = (int)db_int(rows, r, 4),
            .due_ms = db_int(rows, r, 5),
            .started_ms = db_int(rows, r, 6),
            .result = db_str(rows, r, 7),
            .error = db_str(rows, r, 8),
        };
    }
    return OK;
}

static int free_claimed(struct claimed *list)
{
    for (size_t i = 0; i < talloc_array_length(list); i++)
        programs_unref(list[i].program);
    for (size_t i = 0; i < talloc_array_length(list); i++)
        skills_unref(list[i].skill);
    return 0;
}

static int64_t skill_deadline_ms(const struct manifest *m) /* from the claim */
{
    return m->timeout_ms + (m->runner == RUNNER_COMMAND ? SKILL_LINE_MS : 0);
}

static enum err load_responder(struct db_tx *tx, struct batch *b, const struct run *r, struct claimed *c,
                               int64_t *timeout_ms_r)
{
    enum err e;
    if (r->kind == KIND_SKILL) {
        e = skills_get(programs_skills(b->programs), tx->db, &r->workspace_id, &r->responder_id, r->version,
                       &c->skill);
        if (e == OK)
            *timeout_ms_r = skill_deadline_ms(skills_manifest(c->skill));
    } else {
        e = programs_get(b->programs, tx->db, &r->responder_id, r->version, &c->program);
        if (e == OK)
            *timeout_ms_r = programs_of(c->program)->timeout_ms;
    }
    return e;
}

static enum err move_to_us(struct writing *g, struct run *r, struct claimed *c, int64_t at_ms,
                           int64_t deadline_ms)
{
    /* A skill's runner is started right away. A step of a workflow is told of before it starts. */
    r->effects = r->effects || c->skill;
    struct run_move move = {.move = MOVE_CLAIM,
                            .at_ms = at_ms,
                            .executor_id = g->b->hands->executor_id,
                            .deadline_ms = deadline_ms};
    return run_move(g->writes, r, &move);
}

static enum err claim_one(struct db_tx *tx, struct writing *g, struct run *r, struct claimed *c)
{
    int64_t timeout_ms = PROGRAM_SECONDS_DEFAULT * 1000L;
    enum err e = load_responder(tx, g->b, r, c, &timeout_ms);
    if (e != OK && e != ERR_NOT_FOUND && e != ERR_INVALID)
        return e;
    c->had_effects = r->effects;
    c->limited = true; /* until it is read */
    c->claimed_ms = clock_wall_ms();
    e = move_to_us(g, r, c, c->claimed_ms, c->claimed_ms + timeout_ms);
    c->run = *r;
    return e;
}

static void forget_claims(struct batch *b)
{
    talloc_free(b->claimed);
    b->claimed = NULL;
    b->claimed_n = 0;
}

/* Which first commits are written with their claims. Not those that lock more than the run's row (a tree; the
 * account, where concurrency is limited), and no more than one transaction should hold. */
static void choose_firsts(struct batch *b)
{
    size_t bytes = 0;
    for (size_t i = 0; i < b->claimed_n; i++) {
        struct claimed *c = &b->claimed[i];
        if (!c->first)
            continue;
        c->first_apart =
            b->firsts_apart || c->first->tree || (c->limited && c->first->has_move) || bytes > b->bytes_max;
        bytes += c->first->bytes;
    }
}

static enum err write_firsts(struct db_tx *tx, struct writing *g)
{
    struct batch *b = g->b;
    enum err e = OK;
    for (size_t i = 0; e == OK && i < b->claimed_n; i++) {
        struct claimed *c = &b->claimed[i];
        if (c->first && !c->fenced && !c->first_apart)
            e = write_commit(tx, g, c->first);
    }
    return e;
}

/* Reads what the runs need to go on, and has them go. */
static enum err offer_claims(struct db_tx *tx, struct writing *g, size_t before)
{
    struct batch *b = g->b;
    enum err e = read_inputs(tx, b);
    for (size_t i = 0; e == OK && i < b->claimed_n; i++) {
        run_writes_at(g->writes, before + i)->unlimited = !b->claimed[i].limited;
        e = read_steps(tx, b, &b->claimed[i]);
    }
    if (e != OK)
        return e;
    b->offered = b->offer(b);
    if (!b->offered) {
        b->claim_limit = 0;
        return ERR_CONFLICT;
    }
    choose_firsts(b);
    return OK;
}

static enum err claim(struct db_tx *tx, struct writing *g)
{
    struct batch *b = g->b;
    enum err e = OK;
    size_t before = run_writes_count(g->writes);
    if (b->hints_n > 0)
        e = run_writes_lock_queued(g->writes, b->hints, b->hints_n, b->claim_limit);
    size_t found = run_writes_count(g->writes) - before;
    if (e == OK && b->scan && found == 0)
        e = run_writes_lock_queued(g->writes, NULL, 0, b->claim_limit);
    found = run_writes_count(g->writes) - before;
    if (e != OK || found == 0)
        return e;
    b->claimed = talloc_zero_array(b->holder, struct claimed, found);
    talloc_set_destructor(b->claimed, free_claimed);
    for (size_t i = 0; e == OK && i < found; i++) {
        b->claimed_n++;
        e = claim_one(tx, g, run_writes_at(g->writes, before + i), &b->claimed[i]);
    }
    return e == OK ? offer_claims(tx, g, before) : e;
}

/* Whether an earlier run of the transaction, whose answer was lost, had claimed it (and written the first
 * commit, where that goes with it). */
static bool claim_had_committed(const struct writing *g, const struct claimed *c, const struct run *r)
{
    if (c->first && !c->first_apart && c->first->seq_after > 0)
        return had_committed(g->b->hands, c->first, r);
    return run_is_ours(r, c->run.executor_id, c->run.attempt) && r->last_seq == c->run.last_seq;
}

/* The runs were offered in an earlier run of the transaction, have perhaps gone on since, and were not locked
 * in between: those that are still queued, at the same attempt, are claimed as before. */
static enum err claim_again(struct db_tx *tx, struct writing *g)
{
    enum err e = OK;
    for (size_t i = 0; e == OK && i < g->b->claimed_n; i++) {
        struct claimed *c = &g->b->claimed[i];
        struct run *r = run_writes_find(g->writes, &c->run.id);
        c->fenced = false;
        if (r && tx->settling && claim_had_committed(g, c, r))
            r->changed = true; /* written again, so that the log is flushed before anybody acts on it */
        else if (r && r->state == STATE_QUEUED && r->attempt == c->run.attempt)
            e = move_to_us(g, r, c, c->claimed_ms, c->run.deadline_ms);
        else
            c->fenced = true;
    }
    return e;
}

/* --- the transaction --- */

static enum err lock_all(struct db_tx *tx, struct writing *g)
{
    struct batch *b = g->b;
    id *ids = talloc_array(tx->ctx, id, b->commits_n + b->claimed_n + 1);
    size_t n = 0;
    for (size_t i = 0; i < b->commits_n; i++)
        ids[n++] = b->commits[i]->run;
    for (size_t i = 0; i < b->claimed_n; i++)
        ids[n++] = b->claimed[i].run.id;
    return run_writes_lock(g->writes, ids, n, g->wanted.accounts, g->wanted.n);
}

static enum err work(struct db_tx *tx, void *arg)
{
    struct writing *g = arg;
    struct batch *b = g->b;
    talloc_free(g->writes);
    g->writes = run_writes_begin(tx, b->holder);
    if (!b->offered)
        forget_claims(b);
    enum err e = lock_all(tx, g);
    for (size_t i = 0; e == OK && i < b->commits_n; i++)
        e = write_commit(tx, g, b->commits[i]);
    if (e == OK && b->offered)
        e = claim_again(tx, g);
    else if (e == OK && b->claim_limit > 0)
        e = claim(tx, g);
    if (e == OK)
        e = write_firsts(tx, g);
    if (e == OK)
        e = run_writes_flush(g->writes);
    crash_point("batch.before_commit");
    return e;
}

/* --- accounts --- */

static void want(struct writing *g, const id *workspace)
{
    for (size_t i = 0; i < g->wanted.n; i++) {
        if (strcmp(g->wanted.accounts[i].text, workspace->text) == 0)
            return;
    }
    if (g->wanted.n < WRITER_BATCH_MAX)
        g->wanted.accounts[g->wanted.n++] = *workspace;
}

static bool want_more(struct writing *g)
{
    size_t n;
    const id *wanted = run_writes_wanted(g->writes, &n);
    size_t had = g->wanted.n;
    for (size_t i = 0; i < n; i++)
        want(g, &wanted[i]);
    return g->wanted.n > had;
}

static size_t limited_place(const struct limited *l, const id *workspace)
{
    size_t place = 0;
    while (place < l->n && strcmp(l->workspaces[place].text, workspace->text) != 0)
        place++;
    return place;
}

/* The accounts that are known to be needed. */
static void want_known(struct writing *g)
{
    for (size_t i = 0; g->b->limited && i < g->b->commits_n; i++) {
        const struct commit *c = g->b->commits[i];
        if (c->has_move && limited_place(g->b->limited, &c->workspace) < g->b->limited->n)
            want(g, &c->workspace);
    }
}

/* Which of the locked accounts limit concurrency is remembered, or forgotten. */
static void learn_limited(struct writing *g)
{
    struct limited *l = g->b->limited;
    for (size_t i = 0; l && i < g->wanted.n; i++) {
        const id *workspace = &g->wanted.accounts[i];
        bool limited = run_writes_limited(g->writes, workspace);
        size_t place = limited_place(l, workspace);
        if (place < l->n && !limited) {
            l->workspaces[place] = l->workspaces[--l->n];
        } else if (place == l->n && limited) {
            l->n += l->n < WRITER_BATCH_MAX;
            place = place < WRITER_BATCH_MAX ? place : l->next++ % WRITER_BATCH_MAX;
            l->workspaces[place] = *workspace;
        }
    }
}

static void note_uncertain(struct batch *b, enum err e)
{
    for (size_t i = 0; i < b->commits_n; i++)
        b->commits[i]->unsettled = b->commits[i]->unsettled || e == ERR_UNCERTAIN;
}

enum err batch_write(struct batch *b)
{
    struct writing g = {.b = b};
    bool claims;
    enum err e;
    want_known(&g);
    choose_firsts(b);
    do {
        claims = b->claim_limit > 0;
        e = db_transaction(b->hands->db, work, &g);
    } while (e == ERR_CONFLICT && g.writes && (want_more(&g) || (claims && b->claim_limit == 0)));
    if (e == OK) {
        learn_limited(&g);
        run_writes_publish(g.writes, b->hands->redis);
    } else if (!b->offered) {
        forget_claims(b);
    }
    note_uncertain(b, e);
    talloc_free(g.writes);
    return e == ERR_CONFLICT || e == ERR_NOT_FOUND ? ERR_INTERNAL : e;
}

static enum err tree_work(struct db_tx *tx, void *arg)
{
    struct writing *g = arg;
    struct commit *c = g->tree;
    talloc_free(g->writes);
    g->writes = run_writes_begin(tx, c);
    enum err e = run_writes_lock_tree(g->writes, &c->workspace, &c->run);
    if (e == OK)
        e = write_commit(tx, g, c);
    struct run_move stop = {
        .move = MOVE_STOP, .at_ms = clock_wall_ms(), .error = "the run that started it has ended"};
    for (size_t i = 0; e == OK && !c->fenced && i < run_writes_count(g->writes); i++) {
        struct run *r = run_writes_at(g->writes, i);
        if (!state_is_terminal(r->state) && strcmp(r->id.text, c->run.text) != 0)
            e = run_move(g->writes, r, &stop);
    }
    return e == OK ? run_writes_flush(g->writes) : e;
}

enum err batch_write_tree(struct batch *b, struct commit *c)
{
    struct writing g = {.b = b, .tree = c};
    enum err e = db_transaction(b->hands->db, tree_work, &g);
    if (e == OK)
        run_writes_publish(g.writes, b->hands->redis);
    note_uncertain(b, e);
    talloc_free(g.writes);
    return e == ERR_CONFLICT || e == ERR_NOT_FOUND ? ERR_INTERNAL : e;
}
