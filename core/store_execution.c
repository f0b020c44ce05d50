#include "core/store_execution.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "core/store.h"

/* As the queries execution_get and execution_by_ids begin their rows. */
static struct execution from_row(const struct db_rows *rows, size_t i)
{
    struct execution x = {
        .id = db_get_id(rows, i, 0),
        .workspace_id = db_get_id(rows, i, 1),
        .responder_id = db_get_id(rows, i, 2),
        .root_id = db_get_id(rows, i, 3),
        .parent_id = db_get_id(rows, i, 4),
        .retry_of = db_get_id(rows, i, 5),
        .kind = (enum responder_kind)db_int(rows, i, 6),
        .source = (enum run_source)db_int(rows, i, 7),
        .agentic = db_int(rows, i, 8) != 0,
        .version = (int)db_int(rows, i, 9),
        .state = (enum state)db_int(rows, i, 10),
        .reason = (enum failure_reason)db_int(rows, i, 11),
        .cost = db_int(rows, i, 12),
        .refunded = db_int(rows, i, 13),
        .started_ms = db_int(rows, i, 14),
        .ended_ms = db_int(rows, i, 15),
        .updated_ms = db_int(rows, i, 16),
        .purged_ms = db_int(rows, i, 17),
        .responder_name = db_str(rows, i, 18),
        .tags = db_str(rows, i, 19),
        .metadata = db_str(rows, i, 20),
        .extra = db_str(rows, i, 21),
        .error = db_str(rows, i, 22),
    };
    if (rows->columns > 23) {
        x.has_payload = true;
        x.input = db_str(rows, i, 23);
        x.output = db_str(rows, i, 24);
    }
    return x;
}

enum err execution_get(struct db *db, void *ctx, const id *workspace, const id *execution,
                       struct execution *x_r)
{
    struct db_value args[] = {db_id(execution), db_id(workspace)};
    struct db_rows *rows;
    enum err e = store_read(db, ctx, SQL_EXECUTION_GET, args, 2, &rows);
    if (e != OK)
        return e;
    if (rows->count == 0)
        return ERR_NOT_FOUND;
    *x_r = from_row(rows, 0);
    return OK;
}

enum err execution_kind(struct db *db, void *ctx, const id *workspace, const id *execution,
                        enum responder_kind *kind_r)
{
    struct db_value args[] = {db_id(execution), db_id(workspace)};
    struct db_rows *rows;
    enum err e = store_read(db, ctx, SQL_EXECUTION_KIND, args, 2, &rows);
    if (e != OK)
        return e;
    if (rows->count == 0)
        return ERR_NOT_FOUND;
    *kind_r = (enum responder_kind)db_int(rows, 0, 0);
    return OK;
}

/* --- pages ---
 * First the ids, from one index range per responder and state asked for, each no longer than the page's end,
 * merged here; then their rows. So no query sorts more than it returns. */

static const id highest = {"ffffffff-ffff-ffff-ffff-ffffffffffff"};
static const id lowest = {"00000000-0000-0000-0000-000000000000"};

struct range { /* one responder or any, one state or any */
    const id *responder;
    enum state state; /* 0: any */
};

static enum err range_ids(struct db *db, void *ctx, const id *workspace, const struct execution_filter *f,
                          struct range range, int64_t offset, int64_t limit, struct db_rows **rows_r)
{
    struct db_value from = db_id(id_is_set(&f->above) ? &f->above : &lowest);
    struct db_value to = db_id(id_is_set(&f->below) ? &f->below : &highest);
    struct db_value ws = db_id(workspace);
    struct db_value state = db_number_or_null(range.state, range.state != 0);
    struct db_value responder = range.responder ? db_id(range.responder) : db_null();
    struct db_value window[] = {db_number(limit), db_number(offset)};
    if (f->tag) {
        struct db_value args[] = {ws,
                                  db_text(f->tag),
                                  from,
                                  to,
                                  responder,
                                  responder,
                                  state,
                                  state,
                                  db_id(&f->parent),
                                  db_id(&f->parent),
                                  window[0],
                                  window[1]};
        return store_read(db, ctx, SQL_EXECUTION_LIST_BY_TAG, args, 12, rows_r);
    }
    if (id_is_set(&f->parent)) {
        struct db_value args[] = {db_id(&f->parent), ws,    from,  to,        responder,
                                  responder,         state, state, window[0], window[1]};
        return store_read(db, ctx, SQL_EXECUTION_LIST_BY_PARENT, args, 10, rows_r);
    }
    if (range.responder) {
        struct db_value args[] = {ws, responder, from, to, state, state, window[0], window[1]};
        return store_read(db, ctx, SQL_EXECUTION_LIST_BY_RESPONDER, args, 8, rows_r);
    }
    if (range.state) {
        struct db_value args[] = {ws, state, from, to, window[0], window[1]};
        return store_read(db, ctx, SQL_EXECUTION_LIST_BY_STATE, args, 6, rows_r);
    }
    struct db_value args[] = {ws, from, to, window[0], window[1]};
    return store_read(db, ctx, SQL_EXECUTION_LIST, args, 5, rows_r);
}

static int newest_first(const void *a, const void *b)
{
    return strcmp(((const id *)b)->text, ((const id *)a)->text);
}

/* The page's ids, in order. */
static enum err page_ids(struct db *db, void *ctx, const id *workspace, const struct execution_filter *f,
                         id **ids_r, size_t *count_r)
{
    size_t responders = f->responders_n ? f->responders_n : 1;
    size_t states = f->states_n ? f->states_n : 1;
    bool alone = responders * states == 1;
    id *ids = talloc_array(ctx, id, responders * states * (size_t)(f->limit + (alone ? 0 : f->offset)) + 1);
    size_t n = 0;
    for (size_t i = 0; i < responders * states; i++) {
        struct range range = {f->responders_n ? &f->responders[i / states] : NULL,
                              f->states_n ? f->states[i % states] : 0};
        struct db_rows *rows;
        enum err e = alone ? range_ids(db, ctx, workspace, f, range, f->offset, f->limit, &rows)
                           : range_ids(db, ctx, workspace, f, range, 0, f->offset + f->limit, &rows);
        if (e != OK)
            return e;
        for (size_t k = 0; k < rows->count; k++)
            ids[n++] = db_get_id(rows, k, 0);
    }
    size_t skip = 0;
    if (!alone) {
        qsort(ids, n, sizeof *ids, newest_first);
        skip = n < (size_t)f->offset ? n : (size_t)f->offset;
    }
    *ids_r = ids + skip;
    *count_r = n - skip < (size_t)f->limit ? n - skip : (size_t)f->limit;
    return OK;
}

static int newest_execution_first(const void *a, const void *b)
{
    return strcmp(((const struct execution *)b)->id.text, ((const struct execution *)a)->id.text);
}

enum err execution_list(struct db *db, void *ctx, const id *workspace, const struct execution_filter *f,
                        struct execution **list_r, size_t *count_r)
{
    id *ids;
    size_t n;
    *count_r = 0;
    *list_r = NULL;
    enum err e = page_ids(db, ctx, workspace, f, &ids, &n);
    if (e != OK || n == 0)
        return e;
    struct db_value *each = talloc_array(ctx, struct db_value, n);
    for (size_t i = 0; i < n; i++)
        each[i] = db_id(&ids[i]);
    struct db_value ws = db_id(workspace);
    struct db_rows *rows;
    e = store_read_each(db, ctx, SQL_EXECUTION_BY_IDS, &ws, 1, each, 1, n, &rows);
    if (e != OK)
        return e;
    struct execution *list = talloc_array(ctx, struct execution, rows->count + 1);
    for (size_t i = 0; i < rows->count; i++)
        list[i] = from_row(rows, i);
    qsort(list, rows->count, sizeof *list, newest_execution_first);
    *list_r = list;
    *count_r = rows->count;
    return OK;
}

enum err execution_steps(struct db *db, void *ctx, const id *execution, struct execution_step **list_r,
                         size_t *count_r)
{
    struct db_value arg = db_id(execution);
    struct db_rows *rows;
    enum err e = store_read(db, ctx, SQL_EXECUTION_STEPS, &arg, 1, &rows);
    if (e != OK)
        return e;
    struct execution_step *list = talloc_array(ctx, struct execution_step, rows->count + 1);
    for (size_t i = 0; i < rows->count; i++) {
        list[i] = (struct execution_step){
            .step = (int)db_int(rows, i, 0),
            .status = (enum step_status)db_int(rows, i, 1),
            .tries = (int)db_int(rows, i, 2),
            .started_ms = db_int(rows, i, 3),
            .completed_ms = db_int(rows, i, 4),
            .result = db_str(rows, i, 5),
            .error = db_str(rows, i, 6),
        };
    }
    *list_r = list;
    *count_r = rows->count;
    return OK;
}
