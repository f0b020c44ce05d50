/* Occurrences of schedules in the accepting transaction: read before the batch is decided, written after it.
 */
#include <string.h>
#include <talloc.h>

#include "run/accept_private.h"

static bool is_occurrence(const struct accept_entry *entry)
{
    return id_is_set(&entry->req->occurrence.schedule_id);
}

/* The first entry of the batch that has this schedule decides; a second one is stale then. */
static bool is_first_of_schedule(const struct accept_batch *b, const struct accept_entry *entry)
{
    for (const struct accept_entry *earlier = b->entries; earlier < entry; earlier++) {
        if (id_equal(&earlier->req->occurrence.schedule_id, &entry->req->occurrence.schedule_id))
            return false;
    }
    return true;
}

/* Whether a run of the schedule is queued or running; those of a backfill are apart. Runs that have ended are
 * not looked at again. */
static enum err find_active(struct db_tx *tx, const struct occurrence *occurrence, bool *is_active_r)
{
    bool is_backfill = occurrence->origin == ORIGIN_BACKFILL;
    struct db_value arg = db_id(&occurrence->schedule_id);
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_OCCURRENCE_OPEN, &arg, 1, &rows);
    *is_active_r = false;
    for (size_t r = 0; e == OK && r < rows->count; r++) {
        bool ended = db_cell(rows, r, OCCURRENCE_OPEN_STATE)->is_null ||
                     state_is_terminal((enum run_state)db_int(rows, r, OCCURRENCE_OPEN_STATE));
        struct db_value key[] = {arg, db_number(db_int(rows, r, OCCURRENCE_OPEN_NOMINAL_MS))};
        if (ended)
            e = db_run(tx->db, tx->ctx, SQL_OCCURRENCE_CLOSE, key, 2, NULL);
        else if ((db_int(rows, r, OCCURRENCE_OPEN_ORIGIN) == ORIGIN_BACKFILL) == is_backfill)
            *is_active_r = true;
    }
    return e;
}

/* Reads the occurrence's own row: one that waits may start, any other one is decided already. */
static enum err find_own_row(struct db_tx *tx, struct accept_entry *entry)
{
    const struct occurrence *o = &entry->req->occurrence;
    struct db_value key[] = {db_id(&o->schedule_id), db_number(o->nominal_ms)};
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_OCCURRENCE_FIND, key, 2, &rows);
    if (e != OK || rows->count == 0)
        return e;
    entry->schedule.has_row = true;
    if (db_int(rows, 0, OCCURRENCE_FIND_STATE) == OCCURRENCE_WAITING)
        return OK;
    entry->answer->verdict = RUN_OCCURRENCE_EXISTS;
    entry->answer->execution_id = db_get_id(rows, 0, OCCURRENCE_FIND_EXECUTION_ID);
    return OK;
}

static void take_schedule(struct accept_entry *entry, const struct db_rows *rows, size_t r)
{
    entry->schedule.overlap = (enum overlap)db_int(rows, r, OCCURRENCE_LOCK_SCHEDULES_OVERLAP);
    entry->schedule.next_ms = db_int(rows, r, OCCURRENCE_LOCK_SCHEDULES_NEXT_MS);
    entry->schedule.waiting_ms = db_int(rows, r, OCCURRENCE_LOCK_SCHEDULES_WAITING_MS);
    /* a trigger is a caller's wish: it does not depend on the times */
    if (entry->req->occurrence.origin != ORIGIN_TRIGGER &&
        (db_int(rows, r, OCCURRENCE_LOCK_SCHEDULES_REVISION) != entry->req->occurrence.revision ||
         db_int(rows, r, OCCURRENCE_LOCK_SCHEDULES_PAUSED) != SCHEDULE_RUNS))
        entry->answer->verdict = RUN_OCCURRENCE_STALE;
    else if (db_int(rows, r, OCCURRENCE_LOCK_SCHEDULES_VALID_KEYS) == 0)
        entry->answer->verdict = RUN_SCHEDULE_KEY_REVOKED;
    else
        entry->schedule.is_locked = true;
}

static enum err read_occurrence(struct db_tx *tx, struct accept_batch *b, struct accept_entry *entry,
                                const struct db_rows *rows)
{
    size_t r = 0;
    bool is_active = false;
    while (r < rows->count && strcmp(db_str(rows, r, OCCURRENCE_LOCK_SCHEDULES_ID),
                                     entry->req->occurrence.schedule_id.text) != 0)
        r++;
    if (r == rows->count || !is_first_of_schedule(b, entry)) {
        entry->answer->verdict = RUN_OCCURRENCE_STALE;
        return OK;
    }
    take_schedule(entry, rows, r);
    if (!entry->schedule.is_locked)
        return OK;
    enum err e = find_own_row(tx, entry);
    if (e != OK || !entry_is_undecided(entry))
        return e;
    if (entry->req->occurrence.refused) {
        entry->answer->verdict = RUN_OCCURRENCE_REFUSED;
        return OK;
    }
    e = find_active(tx, &entry->req->occurrence, &is_active);
    if (is_active && entry->req->occurrence.origin == ORIGIN_BACKFILL) /* one after the other */
        entry->answer->verdict = RUN_OVERLAP;
    else if (is_active && entry->schedule.overlap != OVERLAP_ALLOW)
        entry->answer->verdict =
            entry->schedule.overlap == OVERLAP_STOP_PREVIOUS ? RUN_STOP_PREVIOUS : RUN_OVERLAP;
    return e;
}

enum err accept_read_occurrences(struct db_tx *tx, struct accept_batch *b)
{
    id schedules[ACCEPT_BATCH_MAX];
    struct db_value values[ACCEPT_BATCH_MAX];
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        if (entry_is_undecided(&b->entries[i]) && is_occurrence(&b->entries[i]))
            schedules[n++] = b->entries[i].req->occurrence.schedule_id;
    }
    n = id_sort_distinct(schedules, n);
    for (size_t i = 0; i < n; i++)
        values[i] = db_id(&schedules[i]);
    if (n == 0)
        return OK;
    struct db_rows *rows;
    enum err e = db_run_each(tx->db, tx->ctx, SQL_OCCURRENCE_LOCK_SCHEDULES, NULL, 0, values, 1, n, &rows);
    for (size_t i = 0; e == OK && i < b->n; i++) {
        if (entry_is_undecided(&b->entries[i]) && is_occurrence(&b->entries[i]))
            e = read_occurrence(tx, b, &b->entries[i], rows);
    }
    return e;
}

/* The row that a verdict makes. False: none is written, because nothing was decided. */
static bool outcome_of(const struct accept_entry *entry, enum occurrence_state *state_r,
                       enum occurrence_reason *reason_r)
{
    bool waits_on = entry->req->occurrence.origin == ORIGIN_BACKFILL;
    *state_r = OCCURRENCE_REFUSED;
    switch (entry->answer->verdict) {
    case RUN_ACCEPTED:
        *state_r = OCCURRENCE_STARTED;
        *reason_r = OCCURRENCE_NO_REASON;
        return true;
    case RUN_OVERLAP:
        /* who triggers a run is told at once, so that it does not wait */
        *state_r =
            entry->schedule.overlap == OVERLAP_QUEUE_ONE && entry->req->occurrence.origin == ORIGIN_SCHEDULE
                ? OCCURRENCE_WAITING
                : OCCURRENCE_SKIPPED;
        *reason_r = OCCURRENCE_OVERLAP;
        return !waits_on;
    case RUN_OCCURRENCE_REFUSED:
        *reason_r = entry->req->occurrence.refused;
        if (*reason_r == OCCURRENCE_LATE)
            *state_r = OCCURRENCE_MISSED;
        return true;
    case RUN_INSUFFICIENT_CREDITS:
        *reason_r = OCCURRENCE_INSUFFICIENT_CREDITS;
        return true;
    case RUN_BUDGET_EXCEEDED:
        *reason_r = OCCURRENCE_BUDGET_EXCEEDED;
        return true;
    case RUN_CONCURRENCY_LIMITED:
        *reason_r = OCCURRENCE_CONCURRENCY_LIMITED;
        return !waits_on;
    default:
        return false;
    }
}

static enum err update_row(struct db_tx *tx, const struct accept_entry *entry, int64_t nominal_ms,
                           enum occurrence_state state, enum occurrence_reason reason)
{
    bool started = state == OCCURRENCE_STARTED;
    struct db_value args[] = {
        db_number(state),
        db_number(reason),
        started ? db_id(&entry->req->execution_id) : db_null(),
        db_number_or_null(1, started),
        db_number(entry->account->now_ms),
        db_id(&entry->req->occurrence.schedule_id),
        db_number(nominal_ms),
    };
    return db_run(tx->db, tx->ctx, SQL_OCCURRENCE_UPDATE, args, sizeof args / sizeof *args, NULL);
}

static enum err insert_row(struct db_tx *tx, const struct accept_entry *entry, enum occurrence_state state,
                           enum occurrence_reason reason)
{
    const struct occurrence *o = &entry->req->occurrence;
    bool started = state == OCCURRENCE_STARTED;
    struct db_value args[] = {
        [OCCURRENCE_INSERT_SET_SCHEDULE_ID] = db_id(&o->schedule_id),
        [OCCURRENCE_INSERT_SET_NOMINAL_MS] = db_number(o->nominal_ms),
        [OCCURRENCE_INSERT_SET_WORKSPACE_ID] = db_id(&entry->req->workspace_id),
        [OCCURRENCE_INSERT_SET_ORIGIN] = db_number(o->origin),
        [OCCURRENCE_INSERT_SET_STATE] = db_number(state),
        [OCCURRENCE_INSERT_SET_REASON] = db_number(reason),
        [OCCURRENCE_INSERT_SET_EXECUTION_ID] = started ? db_id(&entry->req->execution_id) : db_null(),
        [OCCURRENCE_INSERT_SET_IS_OPEN] = db_number_or_null(1, started),
        [OCCURRENCE_INSERT_SET_DECIDED_MS] = db_number(entry->account->now_ms),
    };
    return db_run(tx->db, tx->ctx, SQL_OCCURRENCE_INSERT, args, OCCURRENCE_INSERT_SET_COUNT, NULL);
}

static enum err advance_backfill(struct db_tx *tx, const struct occurrence *o)
{
    struct db_value find[] = {db_number(o->nominal_ms), db_id(&o->schedule_id)};
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_OCCURRENCE_NEXT_BACKFILL, find, 2, &rows);
    if (e != OK)
        return e;
    bool is_left = rows->count > 0;
    int64_t next_ms = is_left ? db_int(rows, 0, OCCURRENCE_NEXT_BACKFILL_NOMINAL_MS) : 0;
    struct db_value args[] = {db_number_or_null(next_ms, is_left), db_id(&o->schedule_id)};
    return db_run(tx->db, tx->ctx, SQL_SCHEDULE_ADVANCE_BACKFILL, args, 2, NULL);
}

/* A regular occurrence advances the schedule, and settles which occurrence waits. */
static enum err advance_schedule(struct db_tx *tx, const struct accept_entry *entry, int64_t waiting_ms)
{
    const struct occurrence *o = &entry->req->occurrence;
    if (o->origin == ORIGIN_TRIGGER)
        return OK;
    if (o->origin == ORIGIN_BACKFILL)
        return advance_backfill(tx, o);
    struct db_value args[] = {db_number_or_null(o->next_ms, o->next_ms > 0),
                              db_number_or_null(o->due_ms, o->due_ms > 0),
                              db_number_or_null(waiting_ms, waiting_ms > 0), db_id(&o->schedule_id)};
    return db_run(tx->db, tx->ctx, SQL_SCHEDULE_ADVANCE, args, 4, NULL);
}

static enum err write_occurrence(struct db_tx *tx, struct accept_entry *entry)
{
    const struct occurrence *o = &entry->req->occurrence;
    enum occurrence_state state;
    enum occurrence_reason reason;
    bool decided = outcome_of(entry, &state, &reason), waits = decided && state == OCCURRENCE_WAITING;
    int64_t waiting_ms = entry->schedule.waiting_ms;
    enum err e = OK;
    if (!decided && entry->answer->verdict != RUN_OCCURRENCE_EXISTS)
        return OK;
    if (waits && o->nominal_ms == waiting_ms)
        return OK; /* it waits on */
    if (decided && entry->schedule.has_row)
        e = update_row(tx, entry, o->nominal_ms, state, reason);
    else if (decided)
        e = insert_row(tx, entry, state, reason);
    if (e == OK && waits && waiting_ms > 0)
        e = update_row(tx, entry, waiting_ms, OCCURRENCE_SKIPPED, OCCURRENCE_OVERLAP);
    if (waits || waiting_ms == o->nominal_ms)
        waiting_ms = waits ? o->nominal_ms : 0;
    return e == OK ? advance_schedule(tx, entry, waiting_ms) : e;
}

static enum err pause_schedule(struct db_tx *tx, const struct accept_entry *entry)
{
    struct db_value args[] = {db_number(SCHEDULE_PAUSED_KEY_REVOKED), db_number(entry->account->now_ms),
                              db_id(&entry->req->occurrence.schedule_id)};
    return db_run(tx->db, tx->ctx, SQL_SCHEDULE_PAUSE, args, 3, NULL);
}

enum err accept_write_occurrences(struct db_tx *tx, struct accept_batch *b)
{
    enum err e = OK;
    for (size_t i = 0; e == OK && i < b->n; i++) {
        struct accept_entry *entry = &b->entries[i];
        if (!is_occurrence(entry) || entry->committed || !entry->account)
            continue;
        if (entry->answer->verdict == RUN_SCHEDULE_KEY_REVOKED)
            e = pause_schedule(tx, entry);
        else if (entry->schedule.is_locked)
            e = write_occurrence(tx, entry);
    }
    return e;
}
