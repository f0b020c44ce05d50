#include "executor/db_thread/write_commit.h"

#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "run/waits.h"

static enum err find_last_event(struct db_tx *tx, const struct commit *c, bool *found_r)
{
    const struct collected_event *last = &c->events[c->events_n - 1];
    struct db_value args[] = {db_id(&c->run), db_number(c->seq_after)};
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_EVENT_AT, args, 2, &rows);
    *found_r = e == OK && rows->count > 0 && db_int(rows, 0, EVENT_AT_TYPE) == last->type &&
               db_int(rows, 0, EVENT_AT_AT_MS) == last->at_ms;
    return e;
}

enum err commit_find_written(struct db_tx *tx, const struct commit *c, const struct run *r,
                             uint64_t executor_id, bool *written_r)
{
    enum run_state to = STATE_RUNNING;
    *written_r = false;
    if (c->seq_after == 0 || r->last_seq < c->seq_after)
        return OK;
    if (!c->has_move)
        return run_is_ours(r, executor_id, c->attempt) ? find_last_event(tx, c, written_r) : OK;
    *written_r = state_may(STATE_RUNNING, c->move.move, &to) && r->state == to;
    return OK;
}

static enum err write_skill_result(struct db_tx *tx, const struct commit *c)
{
    enum err e = usage_put(tx, &c->run, c->attempt, c->usage);
    /* a first attempt has no artifacts of an earlier one to replace */
    if (e == OK && (c->artifacts_n > 0 || c->attempt > 0))
        e = artifact_put_all(tx, &c->run, c->artifacts, c->artifacts_n);
    return e;
}

static enum err write_late_result(struct db_tx *tx, const struct commit *c)
{
    return c->usage ? usage_put_late(tx, &c->run, c->attempt, c->usage, c->artifacts, c->artifacts_n) : OK;
}

/* The children are locked: each has ended, or its end will find the row in `waits`. A lock is known to one
 * server only, so their rows are written, too: the end of a child on another server then fails and is
 * repeated. */
static bool child_has_ended(struct run_tx *run_tx, const struct commit_park *park)
{
    for (size_t i = 0; i < park->children_n; i++) {
        struct run *child = run_tx_find(run_tx, &park->children[i]);
        if (!child || state_is_terminal(child->state))
            return true;
        child->changed = true;
    }
    return false;
}

/* Writes the waits of a run that is parked. An attempt before may have left others, and signals for them. */
static enum err write_signal_waits(struct db_tx *tx, const struct commit *c)
{
    struct db_value *values =
        talloc_array(tx->ctx, struct db_value, c->signal_waits_n * SIGNAL_WAITS_PUT_SET_COUNT);
    struct db_value run = db_id(&c->run);
    enum err e = c->attempt > 0 ? db_run(tx->db, tx->ctx, SQL_SIGNALS_TAKE_BACK, &run, 1, NULL) : OK;
    if (e == OK && c->attempt > 0)
        e = db_run(tx->db, tx->ctx, SQL_SIGNAL_WAITS_CLEAR, &run, 1, NULL);
    for (size_t i = 0; i < c->signal_waits_n; i++) {
        const struct signal_wait *w = &c->signal_waits[i];
        struct db_value *v = &values[SIGNAL_WAITS_PUT_SET_COUNT * i];
        v[SIGNAL_WAITS_PUT_SET_EXECUTION_ID] = run;
        v[SIGNAL_WAITS_PUT_SET_STEP] = db_number(w->step);
        v[SIGNAL_WAITS_PUT_SET_ITEM] = db_number(w->item);
        v[SIGNAL_WAITS_PUT_SET_NAME] = db_text(w->name);
        v[SIGNAL_WAITS_PUT_SET_DUE_MS] = db_number(w->due_ms);
        v[SIGNAL_WAITS_PUT_SET_MESSAGE] = db_text(w->message);
    }
    return e == OK ? db_run_each(tx->db, tx->ctx, SQL_SIGNAL_WAITS_PUT, NULL, 0, values,
                                 SIGNAL_WAITS_PUT_SET_COUNT, c->signal_waits_n, NULL)
                   : e;
}

/* Gives the signals that came before to the waits, the oldest first. *any_r: a wait has got one. */
static enum err give_kept_signals(struct db_tx *tx, const struct commit *c, bool *any_r)
{
    struct db_value run = db_id(&c->run);
    struct db_rows *rows;
    bool *served = talloc_zero_array(tx->ctx, bool, c->signal_waits_n + 1);
    *any_r = false;
    enum err e = db_run(tx->db, tx->ctx, SQL_SIGNALS_KEPT, &run, 1, &rows);
    for (size_t r = 0; e == OK && r < rows->count; r++) {
        const char *name = db_str(rows, r, SIGNALS_KEPT_NAME);
        size_t i = 0;
        while (i < c->signal_waits_n && (served[i] || strcmp(c->signal_waits[i].name, name) != 0))
            i++;
        if (i == c->signal_waits_n)
            continue;
        struct db_value args[] = {db_number(c->signal_waits[i].step), db_number(c->signal_waits[i].item), run,
                                  db_number(db_int(rows, r, SIGNALS_KEPT_SEQ))};
        served[i] = *any_r = true;
        e = db_run(tx->db, tx->ctx, SQL_SIGNALS_GIVE, args, 4, NULL);
    }
    return e;
}

/* Signals that were consumed or rejected, and waits that have ended. */
static enum err write_signal_ends(struct db_tx *tx, const struct commit *c)
{
    enum err e = OK;
    for (size_t i = 0; e == OK && i < c->signals_done_n; i++) {
        struct db_value args[] = {db_id(&c->run), db_number(c->signals_done[i])};
        e = db_run(tx->db, tx->ctx, SQL_SIGNALS_CONSUME, args, 2, NULL);
    }
    for (size_t i = 0; e == OK && i < c->waits_done_n; i++) {
        struct db_value run = db_id(&c->run), step = db_number(c->waits_done[i].step),
                        item = db_number(c->waits_done[i].item);
        struct db_value wait[] = {run, run, step, item, run, step, item};
        e = db_run(tx->db, tx->ctx, SQL_SIGNAL_TICKET_WAIT_ENDED, wait, 7, NULL);
        if (e == OK)
            e = db_run(tx->db, tx->ctx, SQL_SIGNAL_WAITS_DELETE, wait + 1, 3, NULL);
    }
    return e;
}

/* The time for which a run is parked until a signal counts against no deadline above it either. */
static enum err move_ancestors_deadlines(struct db_tx *tx, struct run_tx *run_tx, const struct commit *c,
                                         int64_t by_ms)
{
    enum err e = OK;
    for (size_t i = 0; e == OK && by_ms != 0 && i < c->ancestors_n; i++) {
        struct run *above = run_tx_find(run_tx, &c->ancestors[i]);
        if (!above || state_is_terminal(above->state) || above->deadline_ms == 0)
            continue;
        above->deadline_ms += by_ms;
        above->changed = true;
        struct db_value args[] = {db_number(waits_time_until(above->deadline_ms)), db_id(&above->id)};
        if (by_ms < 0 && above->parked)
            e = db_run(tx->db, tx->ctx, SQL_WAITS_NOT_AFTER, args, 2, NULL);
    }
    return e;
}

static enum err write_park(struct db_tx *tx, struct run_tx *run_tx, struct run *r, struct commit *c,
                           int64_t *extended_ms_r)
{
    struct run_move move = {.move = MOVE_PARK,
                            .at_ms = clock_wall_ms(),
                            .wait_reason = c->park->reason,
                            .wake_ms = c->park->wake_ms};
    enum err e = c->signal_waits_n > 0 ? write_signal_waits(tx, c) : OK;
    if (e == OK && c->signal_waits_n > 0)
        e = give_kept_signals(tx, c, &move.is_due);
    if (e != OK)
        return e;
    c->not_parked = child_has_ended(run_tx, c->park);
    if (!c->not_parked && move.wait_reason == WAIT_SIGNAL && move.wake_ms > move.at_ms)
        *extended_ms_r = move.wake_ms - move.at_ms;
    return c->not_parked ? OK : run_move(run_tx, r, &move);
}

/* What the commit adds to the deadlines of ancestors. An earlier execution may have written a commit that has
 * neither an event nor a move, and nothing tells: then the sum is not added again. So ancestors end later,
 * never earlier. A run that is parked now was not parked then, or it would no longer be ours. */
static int64_t ancestors_change(const struct db_tx *tx, const struct commit *c, int64_t extended_ms)
{
    bool parked = c->park && !c->not_parked;
    bool maybe_written =
        (tx->settling || c->outcome_uncertain) && c->events_n == 0 && !c->has_move && !parked;
    return (maybe_written ? 0 : c->ancestors_ms) + extended_ms;
}

enum err write_commit(struct db_tx *tx, struct run_tx *run_tx, uint64_t executor_id, struct commit *c)
{
    struct run *r = run_tx_find(run_tx, &c->run);
    bool written = false;
    enum err e = OK;
    c->fenced = false;
    if (r && (tx->settling || c->outcome_uncertain))
        e = commit_find_written(tx, c, r, executor_id, &written);
    if (e != OK)
        return e;
    if (written) {
        r->changed = true; /* an UPDATE makes this COMMIT flush the log before anybody acts on the result */
        c->deadline_ms = r->deadline_ms;
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
    int64_t extended_ms = 0;
    e = write_signal_ends(tx, c);
    if (e == OK && c->has_move)
        e = run_move(run_tx, r, &c->move);
    if (e == OK && c->park)
        e = write_park(tx, run_tx, r, c, &extended_ms);
    if (e == OK)
        e = move_ancestors_deadlines(tx, run_tx, c, ancestors_change(tx, c, extended_ms));
    if (e == OK && c->usage)
        e = write_skill_result(tx, c);
    c->seq_after = c->events_n > 0 || c->has_move ? r->last_seq : 0;
    c->deadline_ms = r->deadline_ms;
    return e;
}
