#include "executor/db_thread/write_commit.h"

bool commit_already_written(const struct commit *c, const struct run *r, uint64_t executor_id)
{
    enum run_state to = STATE_RUNNING;
    if (c->seq_after == 0 || r->last_seq < c->seq_after)
        return false;
    return c->has_move ? state_may(STATE_RUNNING, c->move.move, &to) && r->state == to
                       : run_is_ours(r, executor_id, c->attempt);
}

static enum err write_skill_result(struct db_tx *tx, const struct commit *c)
{
    enum err e = usage_put(tx, &c->run, c->usage);
    /* a first attempt has no artifacts of an earlier one to replace */
    if (e == OK && (c->artifacts_n > 0 || c->attempt > 0))
        e = artifact_put_all(tx, &c->run, c->artifacts, c->artifacts_n);
    return e;
}

static enum err write_late_result(struct db_tx *tx, const struct commit *c)
{
    return c->usage ? usage_put_late(tx, &c->run, c->attempt, c->usage, c->artifacts, c->artifacts_n) : OK;
}

/* The children are locked: each has ended, or its end will find the row in `waits`. */
static bool child_has_ended(struct run_tx *run_tx, const struct commit_park *park)
{
    for (size_t i = 0; i < park->children_n; i++) {
        const struct run *child = run_tx_find(run_tx, &park->children[i]);
        if (!child || state_is_terminal(child->state))
            return true;
    }
    return false;
}

static enum err write_park(struct run_tx *run_tx, struct run *r, struct commit *c)
{
    const struct run_move move = {
        .move = MOVE_PARK, .wait_reason = c->park->reason, .wake_ms = c->park->wake_ms};
    c->not_parked = child_has_ended(run_tx, c->park);
    return c->not_parked ? OK : run_move(run_tx, r, &move);
}

enum err write_commit(struct db_tx *tx, struct run_tx *run_tx, uint64_t executor_id, struct commit *c)
{
    struct run *r = run_tx_find(run_tx, &c->run);
    c->fenced = false;
    if (r && (tx->settling || c->outcome_uncertain) && commit_already_written(c, r, executor_id)) {
        r->changed = true; /* an UPDATE makes this COMMIT flush the log before anybody acts on the result */
        return OK;
    }
    c->seq_after = 0;
    c->fenced = !r || !run_is_ours(r, executor_id, c->attempt);
    if (c->fenced)
        return write_late_result(tx, c);
    r->side_effects_started = (r->side_effects_started || c->side_effects_started) && !c->nothing_started;
    for (size_t i = 0; i < c->steps_n; i++)
        run_step(run_tx, r, &c->steps[i]);
    for (size_t i = 0; i < c->events_n; i++)
        run_event(run_tx, r, c->events[i].type, c->events[i].at_ms, c->events[i].data);
    enum err e = c->has_move ? run_move(run_tx, r, &c->move) : OK;
    if (e == OK && c->park)
        e = write_park(run_tx, r, c);
    if (e == OK && c->usage)
        e = write_skill_result(tx, c);
    c->seq_after = c->events_n > 0 || c->has_move ? r->last_seq : 0;
    return e;
}
