#include "store/schedule.h"

#include <string.h>
#include <talloc.h>

#include "account/account.h"
#include "base/clock.h"
#include "base/log.h"
#include "deed/deed.h"
#include "run/stop.h"

enum { MS_PER_S = 1000 };

static struct span span_of_cell(const struct db_rows *rows, size_t r, size_t column)
{
    const struct db_cell *cell = db_cell(rows, r, column);
    /* no text where the cell is NULL */
    return (struct span){cell->text, cell->size};
}

static struct schedule schedule_from_row(const struct db_rows *rows, size_t r)
{
    return (struct schedule){
        .id = db_get_id(rows, r, SCHEDULE_FIND_DUE_ID),
        .workspace_id = db_get_id(rows, r, SCHEDULE_FIND_DUE_WORKSPACE_ID),
        .principal_id = db_get_id(rows, r, SCHEDULE_FIND_DUE_PRINCIPAL_ID),
        .key_id = db_get_id(rows, r, SCHEDULE_FIND_DUE_KEY_ID),
        .responder_id = db_get_id(rows, r, SCHEDULE_FIND_DUE_RESPONDER_ID),
        .kind = (enum responder_kind)db_int(rows, r, SCHEDULE_FIND_DUE_KIND),
        .timing = (enum timing_kind)db_int(rows, r, SCHEDULE_FIND_DUE_TIMING),
        .cron = db_str(rows, r, SCHEDULE_FIND_DUE_CRON),
        .timezone = db_str(rows, r, SCHEDULE_FIND_DUE_TIMEZONE),
        .every_s = db_int(rows, r, SCHEDULE_FIND_DUE_EVERY_S),
        .at_ms = db_int(rows, r, SCHEDULE_FIND_DUE_AT_MS),
        .anchor_ms = db_int(rows, r, SCHEDULE_FIND_DUE_ANCHOR_MS),
        .start_ms = db_int(rows, r, SCHEDULE_FIND_DUE_START_MS),
        .end_ms = db_int(rows, r, SCHEDULE_FIND_DUE_END_MS),
        .jitter_s = (int)db_int(rows, r, SCHEDULE_FIND_DUE_JITTER_S),
        .overlap = (enum overlap)db_int(rows, r, SCHEDULE_FIND_DUE_OVERLAP),
        .catch_up_s = (int)db_int(rows, r, SCHEDULE_FIND_DUE_CATCH_UP_S),
        .next_ms = db_int(rows, r, SCHEDULE_FIND_DUE_NEXT_MS),
        .due_ms = db_int(rows, r, SCHEDULE_FIND_DUE_DUE_MS),
        .waiting_ms = db_int(rows, r, SCHEDULE_FIND_DUE_WAITING_MS),
        .backfill_ms = db_int(rows, r, SCHEDULE_FIND_DUE_BACKFILL_MS),
        .revision = db_int(rows, r, SCHEDULE_FIND_DUE_REVISION),
        .input = span_of_cell(rows, r, SCHEDULE_FIND_DUE_INPUT),
        .tags = span_of_cell(rows, r, SCHEDULE_FIND_DUE_TAGS),
        .metadata = span_of_cell(rows, r, SCHEDULE_FIND_DUE_METADATA),
        .skill = db_str(rows, r, SCHEDULE_FIND_DUE_EXTRA),
        .note = db_str(rows, r, SCHEDULE_FIND_DUE_NOTE),
        .paused = (enum schedule_pause)db_int(rows, r, SCHEDULE_FIND_DUE_PAUSED),
        .created_ms = db_int(rows, r, SCHEDULE_FIND_DUE_CREATED_MS),
        .updated_ms = db_int(rows, r, SCHEDULE_FIND_DUE_UPDATED_MS),
        .now_ms = db_int(rows, r, SCHEDULE_FIND_DUE_NOW_MS),
    };
}

static enum err find_schedules(struct db *db, void *ctx, enum sql_id query, int64_t limit,
                               struct schedule **list_r, size_t *count_r)
{
    struct db_value arg = db_number(limit);
    struct db_rows *rows;
    enum err e = db_run(db, ctx, query, &arg, 1, &rows);
    *count_r = e == OK ? rows->count : 0;
    *list_r = talloc_array(ctx, struct schedule, *count_r + 1);
    for (size_t r = 0; r < *count_r; r++)
        (*list_r)[r] = schedule_from_row(rows, r);
    return e;
}

enum err schedule_find_due(struct db *db, void *ctx, int64_t limit, struct schedule **list_r, size_t *count_r)
{
    return find_schedules(db, ctx, SQL_SCHEDULE_FIND_DUE, limit, list_r, count_r);
}

enum err schedule_find_waiting(struct db *db, void *ctx, int64_t limit, struct schedule **list_r,
                               size_t *count_r)
{
    return find_schedules(db, ctx, SQL_SCHEDULE_FIND_WAITING, limit, list_r, count_r);
}

enum err schedule_find_backfills(struct db *db, void *ctx, int64_t limit, struct schedule **list_r,
                                 size_t *count_r)
{
    return find_schedules(db, ctx, SQL_SCHEDULE_FIND_BACKFILLS, limit, list_r, count_r);
}

static enum err find_active_runs(struct db *db, void *ctx, const id *schedule, id **list_r, size_t *count_r)
{
    struct db_value arg = db_id(schedule);
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_SCHEDULE_ACTIVE_RUNS, &arg, 1, &rows);
    *count_r = e == OK ? rows->count : 0;
    *list_r = talloc_array(ctx, id, *count_r + 1);
    for (size_t r = 0; r < *count_r; r++)
        (*list_r)[r] = db_get_id(rows, r, SCHEDULE_ACTIVE_RUNS_ID);
    return e;
}

void schedule_stop_active(struct db *db, struct redis *redis, void *ctx, const id *workspace,
                          const id *schedule)
{
    id *active;
    size_t n;
    if (find_active_runs(db, ctx, schedule, &active, &n) != OK)
        return;
    for (size_t i = 0; i < n; i++) {
        struct stop_request stop = {
            .workspace_id = *workspace,
            .execution_id = active[i],
            .error = "stopped by the next occurrence of its schedule",
        };
        struct idempotency_match replay;
        enum stop_verdict verdict = stop_run(db, redis, ctx, &stop, &replay);
        if (verdict != STOP_DONE && verdict != STOP_TERMINAL)
            log_warn("schedule.stop_failed", "execution=%s verdict=%d", active[i].text, (int)verdict);
    }
}

bool schedule_timing(void *ctx, const struct schedule *s, struct timing *timing_r)
{
    *timing_r = (struct timing){
        .kind = s->timing,
        .every_ms = s->every_s * MS_PER_S,
        .anchor_ms = s->anchor_ms,
        .at_ms = s->at_ms,
        .start_ms = s->start_ms,
        .end_ms = s->end_ms,
    };
    if (s->timing != TIMING_CRON)
        return true;
    timing_r->zone = zone_open(ctx, s->timezone);
    return timing_r->zone && s->cron && !cron_parse(ctx, s->cron, &timing_r->cron);
}

struct span schedule_run_extra(void *ctx, int64_t nominal_ms)
{
    char at[CLOCK_TEXT_SIZE];
    return span_text(talloc_asprintf(ctx, "{\"scheduled_for\":\"%s\"}", clock_text_offset(nominal_ms, at)));
}

struct occurrence schedule_due_occurrence(const struct schedule *s, const struct timing *timing)
{
    int catch_up_s = s->catch_up_s < SCHEDULE_GRACE_S ? SCHEDULE_GRACE_S : s->catch_up_s;
    int64_t oldest_ms = s->now_ms - (int64_t)catch_up_s * MS_PER_S;
    bool is_late = s->due_ms < oldest_ms;
    /* an occurrence that is due by its jitter is not late either, so its nominal time may be older by that */
    int64_t after_ms = is_late ? oldest_ms - (int64_t)s->jitter_s * MS_PER_S - 1 : s->next_ms;
    if (after_ms < s->next_ms)
        after_ms = s->next_ms;
    int64_t next_ms = timing_next(timing, after_ms);
    bool is_last = next_ms == TIMING_NEVER;
    return (struct occurrence){
        .schedule_id = s->id,
        .nominal_ms = s->next_ms,
        .revision = s->revision,
        .origin = ORIGIN_SCHEDULE,
        .refused = is_late ? OCCURRENCE_LATE : OCCURRENCE_NO_REASON,
        .next_ms = is_last ? 0 : next_ms,
        .due_ms = is_last ? 0 : next_ms + timing_jitter_ms(&s->id, next_ms, s->jitter_s),
    };
}

enum err schedule_get(struct db *db, void *ctx, const id *workspace, const id *schedule, struct schedule *s_r)
{
    struct db_value args[] = {db_id(schedule), db_id(workspace)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_SCHEDULE_GET, args, 2, &rows);
    if (e == OK && rows->count == 0)
        return ERR_NOT_FOUND;
    if (e == OK)
        *s_r = schedule_from_row(rows, 0);
    return e;
}

enum err schedule_list(struct db *db, void *ctx, const id *workspace, const id *after, int64_t limit,
                       struct schedule **list_r, size_t *count_r)
{
    /* the highest UUID */
    static const id last = {"ffffffff-ffff-ffff-ffff-ffffffffffff"};
    struct db_value args[] = {db_id(workspace), db_id(id_is_set(after) ? after : &last), db_number(limit)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_SCHEDULE_LIST, args, 3, &rows);
    *count_r = e == OK ? rows->count : 0;
    *list_r = talloc_array(ctx, struct schedule, *count_r + 1);
    for (size_t r = 0; r < *count_r; r++)
        (*list_r)[r] = schedule_from_row(rows, r);
    return e;
}

static struct db_value value_of_span(struct span s)
{
    return s.at ? db_bytes(s.at, s.size) : db_null();
}

static enum err insert_schedule(struct db_tx *tx, const struct schedule *s)
{
    struct db_value v[] = {
        [SCHEDULE_INSERT_SET_ID] = db_id(&s->id),
        [SCHEDULE_INSERT_SET_WORKSPACE_ID] = db_id(&s->workspace_id),
        [SCHEDULE_INSERT_SET_PRINCIPAL_ID] = db_id(&s->principal_id),
        [SCHEDULE_INSERT_SET_KEY_ID] = db_id(&s->key_id),
        [SCHEDULE_INSERT_SET_RESPONDER_ID] = db_id(&s->responder_id),
        [SCHEDULE_INSERT_SET_KIND] = db_number(s->kind),
        [SCHEDULE_INSERT_SET_TIMING] = db_number(s->timing),
        [SCHEDULE_INSERT_SET_CRON] = db_text(s->cron),
        [SCHEDULE_INSERT_SET_TIMEZONE] = db_text(s->timezone),
        [SCHEDULE_INSERT_SET_EVERY_S] = db_number_or_null(s->every_s, s->every_s > 0),
        [SCHEDULE_INSERT_SET_AT_MS] = db_number_or_null(s->at_ms, s->at_ms > 0),
        [SCHEDULE_INSERT_SET_ANCHOR_MS] = db_number(s->anchor_ms),
        [SCHEDULE_INSERT_SET_START_MS] = db_number_or_null(s->start_ms, s->start_ms > 0),
        [SCHEDULE_INSERT_SET_END_MS] = db_number_or_null(s->end_ms, s->end_ms > 0),
        [SCHEDULE_INSERT_SET_JITTER_S] = db_number(s->jitter_s),
        [SCHEDULE_INSERT_SET_OVERLAP] = db_number(s->overlap),
        [SCHEDULE_INSERT_SET_CATCH_UP_S] = db_number(s->catch_up_s),
        [SCHEDULE_INSERT_SET_PAUSED] = db_number(s->paused),
        [SCHEDULE_INSERT_SET_NEXT_MS] = db_number_or_null(s->next_ms, s->next_ms > 0),
        [SCHEDULE_INSERT_SET_DUE_MS] = db_number_or_null(s->due_ms, s->due_ms > 0),
        [SCHEDULE_INSERT_SET_NOTE] = db_text(s->note),
        [SCHEDULE_INSERT_SET_INPUT] = value_of_span(s->input),
        [SCHEDULE_INSERT_SET_TAGS] = value_of_span(s->tags),
        [SCHEDULE_INSERT_SET_METADATA] = value_of_span(s->metadata),
        [SCHEDULE_INSERT_SET_EXTRA] = db_text(s->skill),
        [SCHEDULE_INSERT_SET_CREATED_MS] = db_number(s->created_ms),
        [SCHEDULE_INSERT_SET_UPDATED_MS] = db_number(s->updated_ms),
    };
    return db_run(tx->db, tx->ctx, SQL_SCHEDULE_INSERT, v, SCHEDULE_INSERT_SET_COUNT, NULL);
}

struct schedule_creation {
    const struct schedule_new *c;
    struct schedule_outcome *outcome;
    void *ctx;
};

/* Whether an earlier attempt of this transaction, whose COMMIT response was lost, has made the schedule. */
static enum err find_created(struct db_tx *tx, const struct schedule *s, bool *found_r)
{
    struct schedule stored;
    enum err e =
        tx->settling ? schedule_get(tx->db, tx->ctx, &s->workspace_id, &s->id, &stored) : ERR_NOT_FOUND;
    *found_r = e == OK;
    return e == ERR_NOT_FOUND ? OK : e;
}

static enum err schedule_create_work(struct db_tx *tx, void *arg)
{
    struct schedule_creation *creation = arg;
    const struct schedule_new *c = creation->c;
    const struct idempotency_entry entry = {
        .key = {c->schedule.workspace_id, c->idempotency_key, c->fingerprint},
        .response = c->first_response,
    };
    struct account *account;
    size_t accounts;
    bool found = false;
    *creation->outcome = (struct schedule_outcome){.key = {.state = IDEMPOTENCY_FREE}};
    enum err e = account_lock(tx, tx->ctx, &c->schedule.workspace_id, 1, &account, &accounts);
    if (e == OK && accounts == 0)
        e = ERR_NOT_FOUND;
    if (e == OK)
        e = find_created(tx, &c->schedule, &found);
    if (e == OK && !found && entry.key.key.at)
        e = idempotency_find(tx, creation->ctx, &entry.key, 1, &creation->outcome->key);
    if (e == OK && (found || creation->outcome->key.state != IDEMPOTENCY_FREE))
        return OK;
    if (e == OK)
        e = quota_check_schedules(tx, &c->schedule.workspace_id, c->config, &creation->outcome->excess);
    if (e == OK)
        e = insert_schedule(tx, &c->schedule);
    if (e == OK && entry.key.key.at)
        e = idempotency_store(tx, &entry, 1);
    const struct deed_detail detail[] = {{"responder_id", c->schedule.responder_id.text}, {0}};
    return e == OK
               ? deed_record(tx, "schedule.create", &c->schedule.workspace_id, c->schedule.id.text, detail)
               : e;
}

enum err schedule_create(struct db *db, void *ctx, const struct schedule_new *c,
                         struct schedule_outcome *outcome_r)
{
    struct schedule_creation creation = {c, outcome_r, ctx};
    return db_transaction(db, schedule_create_work, &creation);
}

enum err schedule_write(struct db *db, const struct schedule *s)
{
    struct db_value v[] = {
        db_id(&s->principal_id),
        db_id(&s->key_id),
        db_number(s->timing),
        db_text(s->cron),
        db_text(s->timezone),
        db_number_or_null(s->every_s, s->every_s > 0),
        db_number_or_null(s->at_ms, s->at_ms > 0),
        db_number(s->anchor_ms),
        db_number_or_null(s->start_ms, s->start_ms > 0),
        db_number_or_null(s->end_ms, s->end_ms > 0),
        db_number(s->jitter_s),
        db_number(s->overlap),
        db_number(s->catch_up_s),
        db_number(s->paused),
        db_number_or_null(s->next_ms, s->next_ms > 0),
        db_number_or_null(s->due_ms, s->due_ms > 0),
        db_text(s->note),
        value_of_span(s->input),
        value_of_span(s->tags),
        value_of_span(s->metadata),
        db_number(s->updated_ms),
        db_id(&s->id),
        db_id(&s->workspace_id),
        db_number(s->revision),
    };
    const struct deed_detail detail[] = {{"paused", s->paused == SCHEDULE_RUNS ? "false" : "true"}, {0}};
    const struct deed_statement write = {
        SQL_SCHEDULE_WRITE, v, sizeof v / sizeof *v, "schedule.change", &s->workspace_id, s->id.text, detail};
    enum err e = deed_run(db, &write);
    return e == ERR_NOT_FOUND ? ERR_CONFLICT : e;
}

struct schedule_deletion {
    const id *workspace, *schedule;
};

static enum err skip_waiting(struct db_tx *tx, const id *schedule, int64_t first_ms, int64_t last_ms)
{
    struct db_value args[] = {db_id(schedule), db_number(first_ms), db_number(last_ms)};
    return db_run(tx->db, tx->ctx, SQL_OCCURRENCE_SKIP, args, 3, NULL);
}

/* Occurrences that wait are skipped, so that expire_occurrences removes their rows in time. */
static enum err schedule_delete_work(struct db_tx *tx, void *arg)
{
    const struct schedule_deletion *deletion = arg;
    struct db_value key[] = {db_id(deletion->schedule), db_id(deletion->workspace)};
    struct db_rows *rows;
    enum err e = deed_hold(tx, deletion->workspace);
    if (e == OK)
        e = db_run(tx->db, tx->ctx, SQL_SCHEDULE_LOCK, key, 2, &rows);
    if (e != OK)
        return e;
    if (rows->count == 0) /* an earlier attempt, whose COMMIT response was lost, has deleted it */
        return tx->settling ? OK : ERR_NOT_FOUND;
    int64_t waiting_ms = db_int(rows, 0, SCHEDULE_LOCK_WAITING_MS);
    int64_t backfill_ms = db_int(rows, 0, SCHEDULE_LOCK_BACKFILL_MS);
    if (waiting_ms > 0)
        e = skip_waiting(tx, deletion->schedule, waiting_ms, waiting_ms);
    if (e == OK && backfill_ms > 0)
        e = skip_waiting(tx, deletion->schedule, backfill_ms, db_int(rows, 0, SCHEDULE_LOCK_BACKFILL_END_MS));
    if (e == OK)
        e = db_run(tx->db, tx->ctx, SQL_SCHEDULE_DELETE, key, 2, NULL);
    return e == OK ? deed_record(tx, "schedule.delete", deletion->workspace, deletion->schedule->text, NULL)
                   : e;
}

enum err schedule_delete(struct db *db, const id *workspace, const id *schedule)
{
    struct schedule_deletion deletion = {workspace, schedule};
    return db_transaction(db, schedule_delete_work, &deletion);
}

struct backfill_work {
    const struct schedule_backfill *b;
    size_t *added;
};

static enum err insert_backfill(struct db_tx *tx, const struct schedule_backfill *b, int64_t nominal_ms,
                                int64_t now_ms)
{
    struct db_value v[] = {
        [OCCURRENCE_INSERT_SET_SCHEDULE_ID] = db_id(b->schedule),
        [OCCURRENCE_INSERT_SET_NOMINAL_MS] = db_number(nominal_ms),
        [OCCURRENCE_INSERT_SET_WORKSPACE_ID] = db_id(b->workspace),
        [OCCURRENCE_INSERT_SET_ORIGIN] = db_number(ORIGIN_BACKFILL),
        [OCCURRENCE_INSERT_SET_STATE] = db_number(OCCURRENCE_WAITING),
        [OCCURRENCE_INSERT_SET_REASON] = db_number(OCCURRENCE_NO_REASON),
        [OCCURRENCE_INSERT_SET_EXECUTION_ID] = db_null(),
        [OCCURRENCE_INSERT_SET_IS_OPEN] = db_null(),
        [OCCURRENCE_INSERT_SET_DECIDED_MS] = db_number(now_ms),
    };
    return db_run(tx->db, tx->ctx, SQL_OCCURRENCE_INSERT, v, OCCURRENCE_INSERT_SET_COUNT, NULL);
}

/* Adds the times that have no row, and those that were missed. */
static enum err add_backfill(struct db_tx *tx, const struct schedule_backfill *b, int64_t now_ms, size_t *n_r)
{
    struct db_value range[] = {db_id(b->schedule), db_number(b->times[0]), db_number(b->times[b->n - 1])};
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_OCCURRENCE_RANGE, range, 3, &rows);
    *n_r = 0;
    for (size_t i = 0, r = 0; e == OK && i < b->n; i++) {
        struct db_value key[] = {db_id(b->schedule), db_number(b->times[i])};
        while (r < rows->count && db_int(rows, r, OCCURRENCE_RANGE_NOMINAL_MS) < b->times[i])
            r++;
        if (r == rows->count || db_int(rows, r, OCCURRENCE_RANGE_NOMINAL_MS) != b->times[i])
            e = insert_backfill(tx, b, b->times[i], now_ms);
        else if (db_int(rows, r, OCCURRENCE_RANGE_STATE) == OCCURRENCE_MISSED)
            e = db_run(tx->db, tx->ctx, SQL_OCCURRENCE_REOPEN, key, 2, NULL);
        else
            continue;
        *n_r += e == OK;
    }
    return e;
}

/* The backfill begins with the first occurrence of it that waits. */
static enum err backfill_begin(struct db_tx *tx, const struct schedule_backfill *b)
{
    struct db_value find[] = {db_id(b->schedule), db_number(b->times[0]), db_number(b->times[b->n - 1])};
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_OCCURRENCE_FIRST_BACKFILL, find, 3, &rows);
    if (e != OK || rows->count == 0)
        return e == OK ? ERR_INTERNAL : e;
    struct db_value set[] = {db_number(db_int(rows, 0, OCCURRENCE_FIRST_BACKFILL_NOMINAL_MS)),
                             db_number(b->times[b->n - 1]), db_id(b->schedule)};
    e = db_run(tx->db, tx->ctx, SQL_SCHEDULE_SET_BACKFILL, set, 3, NULL);
    return e == OK ? deed_record(tx, "schedule.backfill", b->workspace, b->schedule->text, NULL) : e;
}

/* An earlier run of this transaction has committed if, when it is settled, the backfill is in progress: its
 * count in *added is right then. */
static enum err backfill_transaction(struct db_tx *tx, void *arg)
{
    const struct backfill_work *work = arg;
    const struct schedule_backfill *b = work->b;
    struct db_value key[] = {db_id(b->schedule), db_id(b->workspace)};
    struct db_rows *rows;
    size_t added;
    if (!tx->settling)
        *work->added = 0;
    if (b->n == 0)
        return OK;
    enum err e = deed_hold(tx, b->workspace);
    if (e == OK)
        e = db_run(tx->db, tx->ctx, SQL_SCHEDULE_LOCK, key, 2, &rows);
    if (e == OK && rows->count == 0)
        return ERR_NOT_FOUND;
    if (e == OK && !db_cell(rows, 0, SCHEDULE_LOCK_BACKFILL_MS)->is_null)
        return tx->settling && *work->added > 0 ? OK : ERR_CONFLICT;
    if (e == OK)
        e = add_backfill(tx, b, db_int(rows, 0, SCHEDULE_LOCK_NOW_MS), &added);
    if (e != OK || added == 0) /* with 0, an earlier run may have been decided already: its count stands */
        return e;
    *work->added = added;
    return backfill_begin(tx, b);
}

enum err schedule_backfill(struct db *db, const struct schedule_backfill *b, size_t *added_r,
                           struct once *once)
{
    struct backfill_work work = {b, added_r};
    *added_r = 0;
    return once_transaction(db, once, backfill_transaction, &work);
}

enum err occurrence_list(struct db *db, void *ctx, const id *workspace, const id *schedule, int64_t before_ms,
                         int64_t limit, struct occurrence_row **list_r, size_t *count_r)
{
    struct db_value args[] = {db_id(schedule), db_id(workspace), db_number(before_ms), db_number(limit)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_OCCURRENCE_LIST, args, 4, &rows);
    *count_r = e == OK ? rows->count : 0;
    *list_r = talloc_array(ctx, struct occurrence_row, *count_r + 1);
    for (size_t r = 0; r < *count_r; r++)
        (*list_r)[r] = (struct occurrence_row){
            .nominal_ms = db_int(rows, r, OCCURRENCE_LIST_NOMINAL_MS),
            .origin = (enum occurrence_origin)db_int(rows, r, OCCURRENCE_LIST_ORIGIN),
            .state = (enum occurrence_state)db_int(rows, r, OCCURRENCE_LIST_STATE),
            .reason = (enum occurrence_reason)db_int(rows, r, OCCURRENCE_LIST_REASON),
            .execution_id = db_get_id(rows, r, OCCURRENCE_LIST_EXECUTION_ID),
            .decided_ms = db_int(rows, r, OCCURRENCE_LIST_DECIDED_MS),
        };
    return e;
}

bool schedule_is_pending(const struct schedule *s)
{
    return s->due_ms > 0 && s->next_ms <= s->now_ms;
}

void schedule_set_next(struct schedule *s, const struct timing *timing, int64_t after_ms)
{
    int64_t next_ms = timing_next(timing, after_ms);
    bool is_due = next_ms != TIMING_NEVER && s->paused == SCHEDULE_RUNS;
    s->next_ms = next_ms == TIMING_NEVER ? 0 : next_ms;
    s->due_ms = is_due ? next_ms + timing_jitter_ms(&s->id, next_ms, s->jitter_s) : 0;
}

bool schedule_set_paused(void *ctx, struct schedule *s, bool paused)
{
    struct timing timing;
    if (paused == (s->paused != SCHEDULE_RUNS))
        return true;
    s->paused = paused ? SCHEDULE_PAUSED_BY_CALLER : SCHEDULE_RUNS;
    s->due_ms = 0;
    if (paused)
        return true;
    if (!schedule_timing(ctx, s, &timing))
        return false;
    schedule_set_next(s, &timing, s->now_ms);
    return true;
}
