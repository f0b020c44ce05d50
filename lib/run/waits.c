#include "run/waits.h"

#include <talloc.h>

#include "base/clock.h"
#include "base/failpoint.h"

enum {
    /* Rows of one transaction. */
    MARK_MAX = 500,
    MARK_ROUNDS = 4,
};

/* Added to a time, it still fits into a BIGINT. */
static const int64_t time_max = INT64_MAX / 2;

int64_t waits_time_until(int64_t wall_ms)
{
    return wall_ms < time_max ? wall_ms - clock_wall_ms() : time_max;
}

static enum err mark_due_work(struct db_tx *tx, void *arg)
{
    size_t *marked = arg;
    struct db_value limit = db_number(MARK_MAX);
    struct db_rows *rows;
    *marked = 0;
    enum err e = db_run(tx->db, tx->ctx, SQL_WAITS_LOCK_DUE, &limit, 1, &rows);
    if (e != OK)
        return e;
    struct db_value *runs = talloc_array(tx->ctx, struct db_value, rows->count + 1);
    for (size_t r = 0; r < rows->count; r++)
        runs[r] = db_bytes(db_str(rows, r, WAITS_LOCK_DUE_EXECUTION_ID), ID_LENGTH);
    *marked = rows->count;
    e = db_run_each(tx->db, tx->ctx, SQL_WAITS_MARK_DUE, NULL, 0, runs, 1, rows->count, NULL);
    failpoint("waits.before_commit");
    return e;
}

enum err waits_mark_due(struct db *db, bool *due_r)
{
    void *scratch = talloc_new(NULL);
    struct db_rows *rows;
    enum err e = db_run(db, scratch, SQL_WAITS_LOOK, NULL, 0, &rows);
    bool becomes_due = e == OK && rows->count == 1 && db_int(rows, 0, WAITS_LOOK_BECOMES_DUE) != 0;
    *due_r = e == OK && rows->count == 1 && db_int(rows, 0, WAITS_LOOK_IS_DUE) != 0;
    size_t marked = MARK_MAX;
    for (int i = 0; e == OK && becomes_due && marked == MARK_MAX && i < MARK_ROUNDS; i++) {
        e = db_transaction(db, mark_due_work, &marked);
        failpoint("waits.after_commit");
        *due_r = *due_r || marked > 0;
    }
    talloc_free(scratch);
    return e;
}
