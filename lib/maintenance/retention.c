#include "maintenance/retention.h"

#include <talloc.h>

#include "base/clock.h"
#include "base/log.h"
#include "maintenance/purge.h"
#include "run/states.h"
#include "store/execution.h"

static const int64_t day_ms = 86400000, recheck_ms = 600000;

struct retention_job {
    void *ctx;
    struct purge_cleanup *cleanup;
    size_t n;
};

/* One cursor of one workspace. */
struct retention_sweep {
    const id *workspace;
    /* 0: forever. */
    int64_t keep_days;
    id cursor;
    bool removes;
    size_t seen, done;
};

/* Selects the runs of a scan that are to be purged or removed, up to the first one that has not ended, and
 * advances the cursor. */
static size_t select_ended(struct retention_sweep *s, const struct db_rows *found, struct db_value *ids)
{
    size_t n = 0;
    for (size_t i = 0; i < found->count; i++) {
        if (!state_is_terminal((enum run_state)db_int(found, i, RETENTION_SCAN_STATE))) {
            log_warn("retention.blocked", "workspace=%s execution=%s", s->workspace->text,
                     db_str(found, i, RETENTION_SCAN_ID));
            break;
        }
        s->cursor = db_get_id(found, i, RETENTION_SCAN_ID);
        s->seen++;
        if (s->removes || db_cell(found, i, RETENTION_SCAN_PURGED_MS)->is_null)
            ids[n++] = db_text(db_str(found, i, RETENTION_SCAN_ID));
    }
    return n;
}

static enum err sweep_batch(struct db_tx *tx, struct retention_job *job, struct retention_sweep *s)
{
    if (s->keep_days == 0)
        return OK;
    id before = id_floor(clock_wall_ms() - s->keep_days * day_ms);
    struct db_value args[] = {db_id(s->workspace), db_id(&s->cursor), db_id(&before),
                              db_number(RETENTION_BATCH)};
    struct db_value ids[RETENTION_BATCH];
    struct db_rows *found, *locked;
    enum err e = db_run(tx->db, tx->ctx, SQL_RETENTION_SCAN, args, 4, &found);
    if (e != OK)
        return e;
    s->done = select_ended(s, found, ids);
    if (s->done == 0)
        return OK;
    e = purge_lock(tx, s->workspace, ids, s->done, &locked);
    if (e != OK)
        return e;
    return s->removes ? purge_remove(tx, job->cleanup, ids, s->done)
                      : purge_runs(tx, job->cleanup, ids, s->done);
}

static enum err retention_work(struct db_tx *tx, void *arg)
{
    struct retention_job *job = arg;
    int64_t now_ms = clock_wall_ms();
    struct db_value due = db_number(now_ms);
    struct db_rows *rows;
    job->cleanup = purge_cleanup_new(job->ctx);
    enum err e = db_run(tx->db, tx->ctx, SQL_RETENTION_NEXT, &due, 1, &rows);
    if (e != OK || rows->count == 0)
        return e == OK ? ERR_NOT_FOUND : e;
    id workspace = db_get_id(rows, 0, RETENTION_NEXT_WORKSPACE_ID);
    struct retention_sweep removing = {&workspace,
                                       db_int(rows, 0, RETENTION_NEXT_KEEP_ROWS_DAYS),
                                       db_get_id(rows, 0, RETENTION_NEXT_REMOVED_TO),
                                       true,
                                       0,
                                       0};
    struct retention_sweep purging = {&workspace,
                                      db_int(rows, 0, RETENTION_NEXT_KEEP_PAYLOAD_DAYS),
                                      db_get_id(rows, 0, RETENTION_NEXT_PURGED_TO),
                                      false,
                                      0,
                                      0};
    e = sweep_batch(tx, job, &removing);
    if (e == OK && removing.seen < RETENTION_BATCH)
        e = sweep_batch(tx, job, &purging);
    if (e != OK)
        return e;
    job->n = removing.done + purging.done;
    bool more = removing.seen == RETENTION_BATCH || purging.seen == RETENTION_BATCH;
    struct db_value args[] = {db_id(&purging.cursor), db_id(&removing.cursor),
                              db_number(more ? now_ms : now_ms + recheck_ms), db_id(&workspace)};
    return db_run(tx->db, tx->ctx, SQL_RETENTION_WRITE, args, 4, NULL);
}

enum err retention_step(struct db *db, struct redis *redis, struct blob_store *blobs, size_t *n_r)
{
    struct retention_job job = {.ctx = talloc_new(NULL)};
    enum err e = db_transaction(db, retention_work, &job);
    if (e == OK)
        purge_cleanup_run(job.cleanup, db, redis, blobs);
    *n_r = e == OK ? job.n : 0;
    talloc_free(job.ctx);
    return e;
}
