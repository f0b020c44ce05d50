#include <string.h>
#include <talloc.h>

#include "core/clock.h"
#include "core/crash.h"
#include "core/log.h"
#include "executor/commit.h"

/* Accounts that a batch turned out to need. Which workspaces limit their concurrency is remembered for the
 * next one: finding out costs a transaction. */
struct wanted {
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
        return OK;
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

static enum err load_responder(struct db_tx *tx, struct batch *b, const struct run *r, struct claimed *c,
                               int64_t *timeout_ms_r)
{
    enum err e;
    if (r->kind == KIND_SKILL) {
        e = skills_get(programs_skills(b->programs), tx->db, &r->workspace_id, &r->responder_id, r->version,
                       &c->skill);
        if (e == OK)
            *timeout_ms_r = skills_manifest(c->skill)->timeout_ms;
    } else {
        e = programs_get(b->programs, tx->db, &r->responder_id, r->version, &c->program);
        if (e == OK)
            *timeout_ms_r = programs_of(c->program)->timeout_ms;
    }
    return e;
}

static enum err claim_one(struct db_tx *tx, struct writing *g, struct run *r, struct claimed *c)
{
    int64_t now_ms = clock_wall_ms();
    int64_t timeout_ms = PROGRAM_SECONDS_DEFAULT * 1000L;
    enum err e = load_responder(tx, g->b, r, c, &timeout_ms);
    if (e != OK && e != ERR_NOT_FOUND && e != ERR_INVALID)
        return e;
    c->had_effects = r->effects;
    /* A skill's runner is started right away. A step of a workflow is told of before it starts. */
    r->effects = r->effects || c->skill;
    struct run_move move = {.move = MOVE_CLAIM,
                            .at_ms = now_ms,
                            .executor_id = g->b->hands->executor_id,
                            .deadline_ms = now_ms + timeout_ms};
    e = run_move(g->writes, r, &move);
    c->run = *r;
    return e;
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
    if (e != OK)
        return e;
    found = run_writes_count(g->writes) - before;
    b->claimed = talloc_zero_array(b->holder, struct claimed, found);
    talloc_set_destructor(b->claimed, free_claimed);
    for (size_t i = 0; e == OK && i < found; i++) {
        b->claimed_n++;
        e = claim_one(tx, g, run_writes_at(g->writes, before + i), &b->claimed[i]);
    }
    return e;
}

static enum err read_claimed(struct db_tx *tx, struct batch *b)
{
    enum err e = b->claimed_n > 0 ? read_inputs(tx, b) : OK;
    for (size_t i = 0; e == OK && i < b->claimed_n; i++)
        e = read_steps(tx, b, &b->claimed[i]);
    return e;
}

/* Whether the claims of an earlier run of the transaction, whose answer was lost, are there. */
static bool claims_had_committed(struct writing *g)
{
    bool had = false;
    for (size_t i = 0; i < g->b->claimed_n; i++) {
        const struct run *was = &g->b->claimed[i].run;
        struct run *r = run_writes_find(g->writes, &was->id);
        bool ours = r && run_is_ours(r, was->executor_id, was->attempt) && r->last_seq == was->last_seq;
        if (ours)
            r->changed = true; /* flushed before anybody acts on it */
        had = had || ours;
    }
    return had;
}

static void forget_claims(struct batch *b)
{
    talloc_free(b->claimed);
    b->claimed = NULL;
    b->claimed_n = 0;
}

/* --- the transaction --- */

static enum err lock_all(struct db_tx *tx, struct writing *g)
{
    struct batch *b = g->b;
    id *ids = talloc_array(tx->ctx, id, b->commits_n + b->claimed_n + 1);
    size_t n = 0;
    for (size_t i = 0; i < b->commits_n; i++)
        ids[n++] = b->commits[i]->run;
    for (size_t i = 0; tx->settling && i < b->claimed_n; i++)
        ids[n++] = b->claimed[i].run.id;
    return run_writes_lock(g->writes, ids, n, g->wanted.accounts, g->wanted.n);
}

static enum err work(struct db_tx *tx, void *arg)
{
    struct writing *g = arg;
    struct batch *b = g->b;
    talloc_free(g->writes);
    g->writes = run_writes_begin(tx, b->holder);
    enum err e = lock_all(tx, g);
    for (size_t i = 0; e == OK && i < b->commits_n; i++)
        e = write_commit(tx, g, b->commits[i]);
    bool had_claimed = e == OK && tx->settling && claims_had_committed(g);
    if (!had_claimed)
        forget_claims(b);
    if (e == OK && b->claim_limit > 0 && !had_claimed)
        e = claim(tx, g);
    if (e == OK)
        e = run_writes_flush(g->writes);
    if (e == OK && !had_claimed)
        e = read_claimed(tx, b);
    crash_point("batch.before_commit");
    return e;
}

static bool want_more(struct writing *g)
{
    size_t n;
    const id *wanted = run_writes_wanted(g->writes, &n);
    size_t had = g->wanted.n;
    for (size_t i = 0; i < n && g->wanted.n < WRITER_BATCH_MAX; i++)
        g->wanted.accounts[g->wanted.n++] = wanted[i];
    return g->wanted.n > had;
}

static void note_uncertain(struct batch *b, enum err e)
{
    for (size_t i = 0; i < b->commits_n; i++)
        b->commits[i]->unsettled = b->commits[i]->unsettled || e == ERR_UNCERTAIN;
}

enum err batch_write(struct batch *b)
{
    struct writing g = {.b = b};
    enum err e = db_transaction(b->hands->db, work, &g);
    while (e == ERR_CONFLICT && g.writes && want_more(&g))
        e = db_transaction(b->hands->db, work, &g);
    if (e == OK)
        run_writes_publish(g.writes, b->hands->redis);
    else
        forget_claims(b);
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
