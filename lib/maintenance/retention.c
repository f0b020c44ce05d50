#include "maintenance/retention.h"

#include <talloc.h>

#include "base/log.h"
#include "maintenance/purge.h"
#include "run/states.h"
#include "store/execution.h"

static const int64_t day_ms = 86400000, hour_ms = 3600000, minute_ms = 60000, recheck_ms = 600000;

enum {
    /* Runs of one scan: the LIMIT of retention_scan.sql and retention_skipped_scan.sql. */
    SCAN_MAX = 64,
    /* Rows of one transaction that are not the runs' own: the workspace's row, and rows of retention_skipped.
     */
    OTHER_ROWS = 2,
};

struct retention_job {
    void *ctx;
    struct purge_cleanup *cleanup;
    id workspace;
    int64_t now_ms;
    /* Rows that the transaction has changed. */
    int64_t rows;
    size_t done;
    bool more;
};

/* The runs of one scan: those that a cursor finds, or those that it has skipped before. */
struct retention_sweep {
    bool removes, of_skipped;
    /* 0: forever. */
    int64_t keep_days;
    id cursor;
    struct db_value erase[SCAN_MAX], unskip[SCAN_MAX], skip[SCAN_MAX * RETENTION_SKIP_SET_COUNT];
    size_t erase_n, unskip_n, skip_n;
};

enum retention_choice retention_choose(const struct retention_run *run, bool removes, int64_t now_ms,
                                       int64_t *due_ms_r)
{
    *due_ms_r = now_ms + hour_ms;
    if (!run->has_ended)
        return RETENTION_SKIP;
    if (!removes)
        return run->is_purged ? RETENTION_PASS : RETENTION_ERASE;
    if (run->changed_ms + day_ms <= now_ms)
        return RETENTION_ERASE;
    if (run->changed_ms + day_ms < *due_ms_r)
        *due_ms_r = run->changed_ms + day_ms;
    return RETENTION_SKIP;
}

static enum err scan(struct db_tx *tx, const struct retention_job *job, const struct retention_sweep *s,
                     struct db_rows **rows_r)
{
    id before = id_floor(job->now_ms - s->keep_days * day_ms);
    struct db_value runs[] = {db_number(s->removes), db_id(&job->workspace), db_id(&s->cursor),
                              db_id(&before)};
    struct db_value skipped[] = {db_id(&job->workspace), db_number(s->removes), db_number(job->now_ms)};
    if (!s->of_skipped)
        return db_run(tx->db, tx->ctx, SQL_RETENTION_SCAN, runs, 4, rows_r);
    return db_run(tx->db, tx->ctx, SQL_RETENTION_SKIPPED_SCAN, skipped, 3, rows_r);
}

static void skip_run(const struct retention_job *job, struct retention_sweep *s, const char *run,
                     int64_t due_ms)
{
    struct db_value *v = &s->skip[s->skip_n++ * RETENTION_SKIP_SET_COUNT];
    v[RETENTION_SKIP_SET_WORKSPACE_ID] = db_id(&job->workspace);
    v[RETENTION_SKIP_SET_REMOVES] = db_number(s->removes);
    v[RETENTION_SKIP_SET_EXECUTION_ID] = db_text(run);
    v[RETENTION_SKIP_SET_DUE_MS] = db_number(due_ms);
}

static enum retention_choice choose(const struct retention_job *job, const struct retention_sweep *s,
                                    const struct db_rows *found, size_t i, int64_t *due_ms_r)
{
    const struct retention_run run = {
        .has_ended = state_is_terminal((enum run_state)db_int(found, i, RETENTION_SCAN_STATE)),
        .is_purged = !db_cell(found, i, RETENTION_SCAN_PURGED_MS)->is_null,
        .changed_ms = db_int(found, i, RETENTION_SCAN_UPDATED_MS),
    };
    id run_id = db_get_id(found, i, RETENTION_SCAN_ID);
    int64_t accepted_ms = db_cell(found, i, RETENTION_SCAN_ACCEPTED_MS)->is_null
                              ? id_ms(&run_id)
                              : db_int(found, i, RETENTION_SCAN_ACCEPTED_MS);
    if (db_cell(found, i, RETENTION_SCAN_STATE)->is_null)
        return RETENTION_PASS; /* another cursor has removed it */
    enum retention_choice choice = retention_choose(&run, s->removes, job->now_ms, due_ms_r);
    /* it was skipped when the workspace kept its runs for fewer days, or from its acceptance on */
    return accepted_ms < job->now_ms - s->keep_days * day_ms ? choice : RETENTION_SKIP;
}

/* Locks the runs of a scan that can be erased, without waiting for others that hold them. */
static enum err lock_erasable(struct db_tx *tx, const struct retention_job *job,
                              const struct retention_sweep *s, const struct db_rows *found,
                              struct db_rows **locked_r)
{
    struct db_value ids[SCAN_MAX];
    size_t n = 0;
    int64_t due_ms;
    for (size_t i = 0; i < found->count && n < SCAN_MAX; i++) {
        if (choose(job, s, found, i, &due_ms) == RETENTION_ERASE)
            ids[n++] = db_text(db_str(found, i, RETENTION_SCAN_ID));
    }
    return purge_lock(tx, &job->workspace, ids, n, true, locked_r);
}

/* How many rows erasing a run changes; 0: another transaction has locked it. */
static int64_t rows_of_run(const struct db_rows *locked, const id *run)
{
    for (size_t i = 0; i < locked->count; i++) {
        id have = db_get_id(locked, i, PURGE_LOCKED_ID);
        if (id_compare(&have, run) == 0)
            return db_int(locked, i, PURGE_LOCKED_N_ROWS);
    }
    return 0;
}

/* A run that is erased in this transaction. False: there is no room for it. */
static bool take_run(struct retention_job *job, struct retention_sweep *s, const char *run, int64_t rows)
{
    if (job->rows + rows > PURGE_ROWS_MAX)
        return false;
    job->rows += rows;
    s->erase[s->erase_n++] = db_text(run);
    return true;
}

static enum err begin_large_run(struct db_tx *tx, struct retention_job *job, struct retention_sweep *s,
                                const char *run, bool *taken_r)
{
    struct db_value one = db_text(run);
    *taken_r = job->rows + PURGE_BEGIN_ROWS <= PURGE_ROWS_MAX;
    if (!*taken_r)
        return OK;
    job->rows += PURGE_BEGIN_ROWS;
    job->done++;
    return purge_begin(tx, job->cleanup, &one, s->removes);
}

/* Decides about the runs of a scan, in their order, until the transaction is full. */
static enum err visit_runs(struct db_tx *tx, struct retention_job *job, struct retention_sweep *s,
                           const struct db_rows *found, const struct db_rows *locked)
{
    bool taken = true;
    enum err e = OK;
    for (size_t i = 0; e == OK && i < found->count; i++) {
        const char *text = db_str(found, i, RETENTION_SCAN_ID);
        id run = db_get_id(found, i, RETENTION_SCAN_ID);
        int64_t due_ms, rows = rows_of_run(locked, &run);
        enum retention_choice choice = choose(job, s, found, i, &due_ms);
        taken = job->rows + OTHER_ROWS <= PURGE_ROWS_MAX;
        if (taken && choice == RETENTION_ERASE && rows > PURGE_AT_ONCE_MAX)
            e = begin_large_run(tx, job, s, text, &taken);
        else if (taken && choice == RETENTION_ERASE && rows > 0)
            taken = take_run(job, s, text, rows);
        if (!taken)
            break;
        if (choice == RETENTION_SKIP || (choice == RETENTION_ERASE && rows == 0))
            skip_run(job, s, text, choice == RETENTION_SKIP ? due_ms : job->now_ms + minute_ms);
        else if (s->of_skipped)
            s->unskip[s->unskip_n++] = db_text(text);
        job->rows += choice == RETENTION_SKIP || s->of_skipped;
        s->cursor = run;
    }
    job->more = job->more || !taken || found->count == SCAN_MAX;
    return e;
}

static enum err sweep(struct db_tx *tx, struct retention_job *job, struct retention_sweep *s)
{
    struct db_rows *found, *locked;
    struct db_value of[] = {db_id(&job->workspace), db_number(s->removes)};
    if (s->keep_days == 0 || job->more)
        return OK;
    enum err e = scan(tx, job, s, &found);
    if (e == OK)
        e = lock_erasable(tx, job, s, found, &locked);
    if (e == OK)
        e = visit_runs(tx, job, s, found, locked);
    if (e == OK)
        e = db_run_each(tx->db, tx->ctx, SQL_RETENTION_SKIP, NULL, 0, s->skip, RETENTION_SKIP_SET_COUNT,
                        s->skip_n, NULL);
    if (e == OK)
        e = db_run_each(tx->db, tx->ctx, SQL_RETENTION_UNSKIP, of, 2, s->unskip, 1, s->unskip_n, NULL);
    job->done += s->erase_n;
    if (e != OK || s->erase_n == 0)
        return e;
    return s->removes ? purge_remove(tx, job->cleanup, s->erase, s->erase_n)
                      : purge_runs(tx, job->cleanup, s->erase, s->erase_n);
}

static enum err find_workspace(struct db_tx *tx, struct retention_job *job, struct db_rows **rows_r)
{
    job->cleanup = purge_cleanup_new(job->ctx);
    job->workspace = (id){{0}};
    job->done = 0;
    job->rows = OTHER_ROWS;
    job->more = false;
    enum err e = db_run(tx->db, tx->ctx, SQL_RETENTION_NEXT, NULL, 0, rows_r);
    if (e != OK || (*rows_r)->count == 0)
        return e == OK ? ERR_NOT_FOUND : e;
    job->workspace = db_get_id(*rows_r, 0, RETENTION_NEXT_WORKSPACE_ID);
    job->now_ms = db_int(*rows_r, 0, RETENTION_NEXT_NOW_MS);
    return OK;
}

static enum err retention_work(struct db_tx *tx, void *arg)
{
    struct retention_job *job = arg;
    struct db_rows *rows;
    enum err e = find_workspace(tx, job, &rows);
    if (e != OK)
        return e;
    /* in this order: what is removed need not be purged before */
    enum { REMOVE, PURGE, REMOVE_SKIPPED, PURGE_SKIPPED, SWEEPS };
    struct retention_sweep *s = talloc_zero_array(tx->ctx, struct retention_sweep, SWEEPS);
    for (int i = 0; i < SWEEPS; i++) {
        s[i].removes = i == REMOVE || i == REMOVE_SKIPPED;
        s[i].of_skipped = i == REMOVE_SKIPPED || i == PURGE_SKIPPED;
        s[i].keep_days =
            db_int(rows, 0, s[i].removes ? RETENTION_NEXT_KEEP_ROWS_DAYS : RETENTION_NEXT_KEEP_PAYLOAD_DAYS);
    }
    s[REMOVE].cursor = db_get_id(rows, 0, RETENTION_NEXT_REMOVED_TO);
    s[PURGE].cursor = db_get_id(rows, 0, RETENTION_NEXT_PURGED_TO);
    for (int i = 0; e == OK && i < SWEEPS; i++)
        e = sweep(tx, job, &s[i]);
    struct db_value args[] = {db_id(&s[PURGE].cursor), db_id(&s[REMOVE].cursor),
                              db_number(job->more ? job->now_ms : job->now_ms + recheck_ms),
                              db_id(&job->workspace)};
    return e == OK ? db_run(tx->db, tx->ctx, SQL_RETENTION_WRITE, args, 4, NULL) : e;
}

static void defer_workspace(struct db *db, const struct retention_job *job, enum err why)
{
    struct db_value workspace = db_id(&job->workspace);
    log_error("retention.failed", "workspace=%s error=%s", job->workspace.text, err_name(why));
    if (db_run(db, job->ctx, SQL_RETENTION_DEFER, &workspace, 1, NULL) != OK)
        log_warn("retention.defer_failed", "workspace=%s", job->workspace.text);
}

enum err retention_step(struct db *db, struct redis *redis, size_t *n_r)
{
    struct retention_job job = {.ctx = talloc_new(NULL)};
    enum err e = db_transaction(db, retention_work, &job);
    if (e == OK)
        purge_cleanup_run(job.cleanup, redis);
    else if (e != ERR_NOT_FOUND && e != ERR_UNAVAILABLE && id_is_set(&job.workspace))
        defer_workspace(db, &job, e);
    *n_r = e == OK ? job.done : 0;
    talloc_free(job.ctx);
    return e;
}
