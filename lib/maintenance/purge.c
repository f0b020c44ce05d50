#include "maintenance/purge.h"

#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/log.h"
#include "deed/deed.h"
#include "redis/keys.h"
#include "run/bulk_item.h"
#include "run/states.h"
#include "store/artifact.h"

enum {
    /* Rows of one slice (the LIMIT of its query), beside the row of purges. */
    PURGE_SLICE_MAX = PURGE_ROWS_MAX - 1,
    /* Artifacts of one slice (purge_artifacts_slice.sql): each has a blob's row beside its own. */
    PURGE_ARTIFACTS_MAX = 200,
    /* When a run is due again whose slice has failed. */
    DEFER_MS = 60000,
    /* For how long a request erases slices. */
    SLICES_MS = 2000,
};

struct purge_cleanup {
    /* Redis keys of cached responses. */
    struct redis_arg *replays;
    size_t replays_n;
};

struct purge_cleanup *purge_cleanup_new(void *ctx)
{
    return talloc_zero(ctx, struct purge_cleanup);
}

void purge_cleanup_run(struct purge_cleanup *cleanup, struct redis *redis)
{
    for (size_t i = 0; redis && i < cleanup->replays_n; i++) {
        struct redis_arg forget[] = {redis_text("DEL"), cleanup->replays[i]};
        redis_queue(redis, forget, 2);
    }
    if (redis && cleanup->replays_n > 0)
        redis_flush(redis);
}

enum err purge_lock(struct db_tx *tx, const id *workspace, const struct db_value *ids, size_t n,
                    bool skip_locked, struct db_rows **rows_r)
{
    struct db_value ws = db_id(workspace);
    struct db_rows *locked;
    enum err e = db_run_each(tx->db, tx->ctx, skip_locked ? SQL_PURGE_LOCK_FREE : SQL_PURGE_LOCK, &ws, 1, ids,
                             1, n, &locked);
    if (e != OK)
        return e;
    struct db_value *found = talloc_array(tx->ctx, struct db_value, locked->count + 1);
    for (size_t i = 0; i < locked->count; i++)
        found[i] = db_text(db_str(locked, i, PURGE_LOCK_ID));
    return db_run_each(tx->db, tx->ctx, SQL_PURGE_LOCKED, NULL, 0, found, 1, locked->count, rows_r);
}

static enum err collect_replays(struct db_tx *tx, struct purge_cleanup *cleanup, const struct db_value *ids,
                                size_t n)
{
    struct db_rows *rows;
    enum err e = db_run_each(tx->db, tx->ctx, SQL_PURGE_KEYS, NULL, 0, ids, 1, n, &rows);
    if (e != OK || rows->count == 0)
        return e;
    cleanup->replays =
        talloc_realloc(cleanup, cleanup->replays, struct redis_arg, cleanup->replays_n + rows->count);
    for (size_t i = 0; i < rows->count; i++) {
        id workspace = db_get_id(rows, i, PURGE_KEYS_WORKSPACE_ID);
        const struct db_cell *key = db_cell(rows, i, PURGE_KEYS_IDEMPOTENCY_KEY);
        cleanup->replays[cleanup->replays_n++] = redis_key_replay(cleanup, &workspace, key->text, key->size);
    }
    return OK;
}

static enum err run_deletes(struct db_tx *tx, const enum sql_id *queries, size_t queries_n,
                            const struct db_value *ids, size_t n)
{
    enum err e = OK;
    for (size_t i = 0; e == OK && i < queries_n; i++)
        e = db_run_each(tx->db, tx->ctx, queries[i], NULL, 0, ids, 1, n, NULL);
    return e;
}

static enum err mark_purged(struct db_tx *tx, const struct db_value *ids, size_t n)
{
    return db_run_each(tx->db, tx->ctx, SQL_PURGE_MARK, NULL, 0, ids, 1, n, NULL);
}

/* Before the rows that name the blobs are deleted. */
static enum err discard_blobs(struct db_tx *tx, const struct db_value *ids, size_t n)
{
    enum err e = artifact_discard(tx, ids, n);
    return e == OK ? usage_discard_log(tx, ids, n) : e;
}

enum err purge_runs(struct db_tx *tx, struct purge_cleanup *cleanup, const struct db_value *ids, size_t n)
{
    static const enum sql_id erase[] = {
        SQL_PURGE_TAGS,
        SQL_PURGE_STEPS,
        SQL_PURGE_ARTIFACT_ROWS,
        SQL_PURGE_USAGE,
        SQL_PURGE_EVENTS,
        SQL_PURGE_ANSWERS,
        SQL_PURGE_MESSAGES,
        SQL_PURGE_DELIVERIES,
        SQL_PURGE_MESSAGE_BODIES,
        SQL_PURGE_SIGNALS,
        SQL_PURGE_REMOVE_SIGNAL_WAITS,
        SQL_PURGE_REMOVE_SIGNAL_TICKETS,
        SQL_PURGE_REMOVE_FAILURES,
    };
    enum err e = collect_replays(tx, cleanup, ids, n);
    if (e == OK)
        e = discard_blobs(tx, ids, n);
    if (e == OK)
        e = run_deletes(tx, erase, sizeof erase / sizeof *erase, ids, n);
    return e == OK ? mark_purged(tx, ids, n) : e;
}

enum err purge_remove(struct db_tx *tx, struct purge_cleanup *cleanup, const struct db_value *ids, size_t n)
{
    static const enum sql_id erase[] = {
        SQL_PURGE_TAGS,
        SQL_PURGE_ARTIFACT_ROWS,
        SQL_PURGE_REMOVE_STEPS,
        SQL_PURGE_REMOVE_USAGE,
        SQL_PURGE_REMOVE_CHARGES,
        SQL_PURGE_REMOVE_CHATS,
        SQL_PURGE_REMOVE_TIMES,
        SQL_PURGE_REMOVE_FAILURES,
        SQL_PURGE_REMOVE_RETRIES,
        SQL_PURGE_REMOVE_RETRIED,
        SQL_PURGE_REMOVE_SIGNALS,
        SQL_PURGE_REMOVE_SIGNAL_WAITS,
        SQL_PURGE_REMOVE_SIGNAL_TICKETS,
        SQL_PURGE_REMOVE_EVENTS,
        SQL_PURGE_REMOVE_CHILDREN,
        SQL_PURGE_REMOVE_TREES,
        SQL_PURGE_REMOVE_KEYS,
        SQL_PURGE_REMOVE_OCCURRENCES,
        SQL_PURGE_REMOVE_DELIVERIES,
        SQL_PURGE_REMOVE_MESSAGES,
        SQL_PURGE_REMOVE_EXECUTIONS,
    };
    enum err e = collect_replays(tx, cleanup, ids, n);
    if (e == OK)
        e = discard_blobs(tx, ids, n);
    return e == OK ? run_deletes(tx, erase, sizeof erase / sizeof *erase, ids, n) : e;
}

/* --- large runs, in slices --- */

/* The column `stage` of purges. A new one goes to the end: rows that an older version has begun continue. */
enum purge_stage {
    STAGE_ARTIFACTS,
    STAGE_USAGE,
    STAGE_STEPS,
    STAGE_EVENTS,
    STAGE_SIGNAL_TICKETS,
    STAGE_SIGNALS,
    STAGES
};

enum err purge_begin(struct db_tx *tx, struct purge_cleanup *cleanup, const struct db_value *one,
                     bool removes)
{
    static const enum sql_id erase_purged[] = {SQL_PURGE_TAGS,           SQL_PURGE_ANSWERS,
                                               SQL_PURGE_MESSAGES,       SQL_PURGE_DELIVERIES,
                                               SQL_PURGE_MESSAGE_BODIES, SQL_PURGE_REMOVE_SIGNAL_WAITS,
                                               SQL_PURGE_REMOVE_FAILURES};
    static const enum sql_id erase_removed[] = {SQL_PURGE_TAGS,
                                                SQL_PURGE_REMOVE_CHATS,
                                                SQL_PURGE_REMOVE_TIMES,
                                                SQL_PURGE_REMOVE_FAILURES,
                                                SQL_PURGE_REMOVE_RETRIES,
                                                SQL_PURGE_REMOVE_RETRIED,
                                                SQL_PURGE_REMOVE_SIGNAL_WAITS,
                                                SQL_PURGE_REMOVE_CHILDREN,
                                                SQL_PURGE_REMOVE_TREES,
                                                SQL_PURGE_REMOVE_KEYS,
                                                SQL_PURGE_REMOVE_OCCURRENCES,
                                                SQL_PURGE_REMOVE_DELIVERIES,
                                                SQL_PURGE_REMOVE_MESSAGES,
                                                SQL_PURGE_REMOVE_EXECUTIONS};
    struct db_value args[] = {
        [PURGE_PUT_SET_EXECUTION_ID] = *one,
        [PURGE_PUT_SET_REMOVES] = db_number(removes),
        [PURGE_PUT_SET_DUE_MS] = db_number(0),
    };
    enum err e = collect_replays(tx, cleanup, one, 1);
    if (e == OK && removes)
        e = run_deletes(tx, erase_removed, sizeof erase_removed / sizeof *erase_removed, one, 1);
    else if (e == OK)
        e = run_deletes(tx, erase_purged, sizeof erase_purged / sizeof *erase_purged, one, 1);
    if (e == OK && !removes)
        e = mark_purged(tx, one, 1);
    return e == OK ? db_run(tx->db, tx->ctx, SQL_PURGE_PUT, args, PURGE_PUT_SET_COUNT, NULL) : e;
}

/* One row of purges. */
struct slice {
    void *ctx;
    const id *wanted;
    id execution;
    bool removes;
    int64_t stage, step, item;
    /* The stage has no rows after this slice. */
    bool stage_done;
};

static enum err delete_slice(struct db_tx *tx, struct slice *s, enum sql_id query, uint64_t full)
{
    struct db_value execution = db_id(&s->execution);
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, query, &execution, 1, &rows);
    s->stage_done = e == OK && rows->affected < full;
    return e;
}

static enum err erase_artifacts(struct db_tx *tx, struct slice *s)
{
    struct db_value execution = db_id(&s->execution);
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_PURGE_ARTIFACTS_PAGE, &execution, 1, &rows);
    if (e != OK)
        return e;
    artifact_mark_dead(tx, rows);
    return delete_slice(tx, s, SQL_PURGE_ARTIFACTS_SLICE, PURGE_ARTIFACTS_MAX);
}

static enum err erase_usage(struct db_tx *tx, struct slice *s)
{
    struct db_value execution = db_id(&s->execution);
    enum err e = usage_discard_log(tx, &execution, 1);
    s->stage_done = true;
    return e == OK ? db_run_each(tx->db, tx->ctx, s->removes ? SQL_PURGE_REMOVE_USAGE : SQL_PURGE_USAGE, NULL,
                                 0, &execution, 1, 1, NULL)
                   : e;
}

/* Rows that stay are visited by a cursor, because a search for those that still hold something would begin
 * anew at the first row in each slice. */
static enum err erase_steps(struct db_tx *tx, struct slice *s)
{
    struct db_value from[] = {db_id(&s->execution), db_number(s->step), db_number(s->step),
                              db_number(s->item)};
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_PURGE_STEPS_PAGE, from, 4, &rows);
    s->stage_done = e == OK && rows->count < PURGE_SLICE_MAX;
    if (e != OK || rows->count == 0)
        return e;
    s->step = db_int(rows, rows->count - 1, PURGE_STEPS_PAGE_STEP);
    s->item = db_int(rows, rows->count - 1, PURGE_STEPS_PAGE_ITEM);
    struct db_value slice[] = {
        from[0], from[1], from[2], from[3], db_number(s->step), db_number(s->step), db_number(s->item)};
    return db_run(tx->db, tx->ctx, SQL_PURGE_STEPS_SLICE, slice, 7, NULL);
}

/* Rows with a number `seq`, which both pages return as their first column. */
static enum err erase_numbered(struct db_tx *tx, struct slice *s, enum sql_id page, enum sql_id erase)
{
    _Static_assert((int)PURGE_EVENTS_PAGE_SEQ == (int)PURGE_SIGNALS_PAGE_SEQ, "one column");
    struct db_value slice[] = {db_id(&s->execution), db_number(s->item), db_number(0)};
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, page, slice, 2, &rows);
    s->stage_done = e == OK && rows->count < PURGE_SLICE_MAX;
    if (e != OK || rows->count == 0)
        return e;
    s->item = db_int(rows, rows->count - 1, PURGE_EVENTS_PAGE_SEQ);
    slice[2] = db_number(s->item);
    return db_run(tx->db, tx->ctx, erase, slice, 3, NULL);
}

static enum err erase_slice(struct db_tx *tx, struct slice *s)
{
    switch (s->stage) {
    case STAGE_ARTIFACTS:
        return erase_artifacts(tx, s);
    case STAGE_USAGE:
        return erase_usage(tx, s);
    case STAGE_STEPS:
        return s->removes ? delete_slice(tx, s, SQL_PURGE_REMOVE_STEPS_SLICE, PURGE_SLICE_MAX)
                          : erase_steps(tx, s);
    case STAGE_EVENTS:
        return s->removes ? delete_slice(tx, s, SQL_PURGE_REMOVE_EVENTS_SLICE, PURGE_SLICE_MAX)
                          : erase_numbered(tx, s, SQL_PURGE_EVENTS_PAGE, SQL_PURGE_EVENTS_SLICE);
    case STAGE_SIGNAL_TICKETS:
        return delete_slice(tx, s, SQL_PURGE_REMOVE_SIGNAL_TICKETS_SLICE, PURGE_SLICE_MAX);
    default:
        return s->removes ? delete_slice(tx, s, SQL_PURGE_REMOVE_SIGNALS_SLICE, PURGE_SLICE_MAX)
                          : erase_numbered(tx, s, SQL_PURGE_SIGNALS_PAGE, SQL_PURGE_SIGNALS_SLICE);
    }
}

static enum err find_slice(struct db_tx *tx, struct slice *s)
{
    struct db_value wanted = db_null();
    struct db_rows *rows;
    if (s->wanted)
        wanted = db_id(s->wanted);
    enum err e = db_run(tx->db, tx->ctx, s->wanted ? SQL_PURGE_NEXT_OF : SQL_PURGE_NEXT, &wanted,
                        s->wanted != NULL, &rows);
    if (e != OK || rows->count == 0)
        return e == OK ? ERR_NOT_FOUND : e;
    s->execution = db_get_id(rows, 0, PURGE_NEXT_EXECUTION_ID);
    s->removes = db_int(rows, 0, PURGE_NEXT_REMOVES) != 0;
    s->stage = db_int(rows, 0, PURGE_NEXT_STAGE);
    s->step = db_int(rows, 0, PURGE_NEXT_STEP);
    s->item = db_int(rows, 0, PURGE_NEXT_ITEM);
    return OK;
}

static enum err slice_work(struct db_tx *tx, void *arg)
{
    struct slice *s = arg;
    s->execution = (id){{0}};
    enum err e = find_slice(tx, s);
    if (e == OK)
        e = erase_slice(tx, s);
    if (e != OK)
        return e;
    struct db_value execution = db_id(&s->execution);
    if (s->stage_done && s->stage + 1 >= STAGES)
        return db_run(tx->db, tx->ctx, SQL_PURGE_DONE, &execution, 1, NULL);
    struct db_value next[] = {db_number(s->stage + s->stage_done), db_number(s->stage_done ? -1 : s->step),
                              db_number(s->stage_done ? -2 : s->item), execution};
    return db_run(tx->db, tx->ctx, SQL_PURGE_ADVANCE, next, 4, NULL);
}

enum err purge_slice(struct db *db, const id *execution)
{
    struct slice s = {.ctx = talloc_new(NULL), .wanted = execution};
    enum err e = db_transaction(db, slice_work, &s);
    if (e != OK && e != ERR_NOT_FOUND && e != ERR_UNAVAILABLE && id_is_set(&s.execution)) {
        struct db_value defer[] = {db_number(DEFER_MS), db_id(&s.execution)};
        log_error("purge.slice_failed", "execution=%s error=%s", s.execution.text, err_name(e));
        if (db_run(db, s.ctx, SQL_PURGE_DEFER, defer, 2, NULL) != OK)
            log_warn("purge.defer_failed", "execution=%s", s.execution.text);
    }
    talloc_free(s.ctx);
    return e;
}

/* --- one run, by request --- */

struct purge {
    const id *workspace, *execution;
    /* NULL: none. */
    const id *bulk_job;
    void *ctx;
    struct purge_cleanup *cleanup;
    /* Rows are left to be erased in slices. */
    bool begun;
};

static enum err decide_item(struct db_tx *tx, const struct purge *p)
{
    const struct bulk_decision done = {.execution_id = *p->execution, .outcome = BULK_DONE};
    return p->bulk_job ? bulk_items_decide(tx, p->bulk_job, &done, 1) : OK;
}

static enum err purge_work(struct db_tx *tx, void *arg)
{
    struct purge *p = arg;
    struct db_value one = db_id(p->execution);
    struct db_rows *rows;
    p->cleanup = purge_cleanup_new(p->ctx);
    p->begun = false;
    enum err e = deed_hold(tx, p->workspace);
    if (e != OK)
        return e;
    e = purge_lock(tx, p->workspace, &one, 1, false, &rows);
    if (e != OK || rows->count == 0)
        return e == OK ? ERR_NOT_FOUND : e;
    if (!state_is_terminal((enum run_state)db_int(rows, 0, PURGE_LOCKED_STATE)))
        return ERR_CONFLICT;
    if (!db_cell(rows, 0, PURGE_LOCKED_PURGED_MS)->is_null)
        return decide_item(tx, p);
    p->begun = db_int(rows, 0, PURGE_LOCKED_N_ROWS) > PURGE_AT_ONCE_MAX;
    e = p->begun ? purge_begin(tx, p->cleanup, &one, false) : purge_runs(tx, p->cleanup, &one, 1);
    if (e == OK)
        e = deed_record(tx, "execution.purge", p->workspace, p->execution->text, NULL);
    return e == OK ? decide_item(tx, p) : e;
}

static enum err purge_one(struct db *db, struct redis *redis, struct purge *p)
{
    p->ctx = talloc_new(NULL);
    enum err e = db_transaction(db, purge_work, p);
    if (e == OK)
        purge_cleanup_run(p->cleanup, redis);
    talloc_free(p->ctx);
    return e;
}

enum err purge_execution(struct db *db, struct redis *redis, const id *workspace, const id *execution)
{
    struct purge p = {.workspace = workspace, .execution = execution};
    enum err e = purge_one(db, redis, &p);
    int64_t until_ms = clock_boot_ms() + SLICES_MS;
    while (e == OK && p.begun && clock_boot_ms() < until_ms && purge_slice(db, execution) == OK)
        ;
    return e;
}

enum err purge_item(struct db *db, struct redis *redis, const id *workspace, const id *execution,
                    const id *bulk_job)
{
    struct purge p = {.workspace = workspace, .execution = execution, .bulk_job = bulk_job};
    return purge_one(db, redis, &p);
}
