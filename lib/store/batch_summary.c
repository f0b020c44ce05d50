#include "store/batch_summary.h"

#include <talloc.h>

static enum err read_row(struct db *db, void *ctx, const id *workspace, struct batch_summary *s)
{
    struct db_value args[] = {db_id(&s->batch_id), db_id(workspace)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_BATCH_GET, args, 2, &rows);
    if (e != OK || rows->count == 0)
        return e;
    s->responder_id = db_get_id(rows, 0, BATCH_GET_RESPONDER_ID);
    s->items = db_int(rows, 0, BATCH_GET_ITEMS);
    s->is_open = db_cell(rows, 0, BATCH_GET_ACCEPTED)->is_null;
    return OK;
}

static enum err count_runs(struct db *db, void *ctx, const id *workspace, struct batch_summary *s)
{
    id first = id_derive(&s->batch_id, 0), last = id_derive(&s->batch_id, ID_DERIVED_MAX - 1);
    struct db_value args[] = {db_id(&first), db_id(&last), db_id(workspace),
                              db_text(first.text + ID_LENGTH - ID_DERIVED_TAIL)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_BATCH_STATES, args, 4, &rows);
    for (size_t i = 0; e == OK && i < rows->count; i++) {
        int64_t state = db_int(rows, i, BATCH_STATES_STATE);
        s->responder_id = db_get_id(rows, i, BATCH_STATES_RESPONDER_ID);
        if (state >= STATE_QUEUED && state <= STATE_STOPPED)
            s->runs[state] += db_int(rows, i, BATCH_STATES_RUNS);
    }
    return e;
}

enum err batch_summary_read(struct db *db, void *ctx, const id *workspace, const id *batch,
                            struct batch_summary *summary_r)
{
    *summary_r = (struct batch_summary){.batch_id = *batch, .items = -1};
    enum err e = read_row(db, ctx, workspace, summary_r);
    if (e == OK)
        e = count_runs(db, ctx, workspace, summary_r);
    return e == OK && !id_is_set(&summary_r->responder_id) ? ERR_NOT_FOUND : e;
}
