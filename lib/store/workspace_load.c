#include "store/workspace_load.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"

static const int64_t RECENT_MS = 60000;
static const char lowest_id[] = "00000000-0000-0000-0000-000000000000";

/* --- loads --- */

static enum err read_loads(struct db *db, void *ctx, struct db_rows **rows_r)
{
    id since = id_floor(clock_wall_ms() - RECENT_MS);
    struct db_value arg = db_id(&since);
    return db_run(db, ctx, SQL_WORKSPACE_LOAD, &arg, 1, rows_r);
}

static int64_t load_of(const struct db_rows *loads, size_t row)
{
    return db_int(loads, row, WORKSPACE_LOAD_QUEUED) + db_int(loads, row, WORKSPACE_LOAD_RUNNING);
}

static void add_load(struct workspace_load *w, const struct db_rows *loads, size_t row)
{
    id first = db_get_id(loads, row, WORKSPACE_LOAD_FIRST_ID);
    w->queued = db_int(loads, row, WORKSPACE_LOAD_QUEUED);
    w->running = db_int(loads, row, WORKSPACE_LOAD_RUNNING);
    w->waiting = db_int(loads, row, WORKSPACE_LOAD_WAITING);
    w->accepted = db_int(loads, row, WORKSPACE_LOAD_ACCEPTED);
    w->ended = db_int(loads, row, WORKSPACE_LOAD_ENDED);
    w->failed = db_int(loads, row, WORKSPACE_LOAD_FAILED);
    if (w->queued > 0 && id_is_set(&first)) {
        int64_t age_ms = clock_wall_ms() - id_ms(&first);
        w->oldest_queued_ms = age_ms > 0 ? age_ms : 0;
    }
}

/* --- workspaces --- */

static int64_t limit_of(const struct db_rows *rows, size_t row, size_t column)
{
    const struct db_cell *c = db_cell(rows, row, column);
    return c->is_null ? -1 : c->number;
}

static struct workspace_load read_workspace(const struct db_rows *rows, size_t i, const struct db_rows *loads)
{
    struct workspace_load w = {
        .id = db_get_id(rows, i, WORKSPACE_PAGE_ID),
        .name = db_str(rows, i, WORKSPACE_PAGE_NAME),
        .created_ms = db_int(rows, i, WORKSPACE_PAGE_CREATED_MS),
        .balance = db_int(rows, i, WORKSPACE_PAGE_BALANCE),
        .rate_limit_per_minute = limit_of(rows, i, WORKSPACE_PAGE_RATE_LIMIT_PER_MINUTE),
        .max_concurrent = limit_of(rows, i, WORKSPACE_PAGE_MAX_CONCURRENT),
        .oldest_queued_ms = -1,
    };
    for (size_t r = 0; r < loads->count; r++) {
        id of = db_get_id(loads, r, WORKSPACE_LOAD_WORKSPACE_ID);
        if (id_equal(&of, &w.id))
            add_load(&w, loads, r);
    }
    return w;
}

static enum err read_page(struct db *db, void *ctx, const struct workspace_load_query *q,
                          struct db_rows **rows_r)
{
    id named = {{0}};
    if (q->text)
        (void)id_parse(q->text, strlen(q->text), &named);
    struct db_value args[] = {id_is_set(&q->after) ? db_id(&q->after) : db_text(lowest_id), db_text(q->text),
                              db_text(q->text), db_id(&named), db_number((int64_t)q->limit)};
    return db_run(db, ctx, SQL_WORKSPACE_PAGE, args, 5, rows_r);
}

/* --- those with the most load --- */

struct rank {
    id id;
    int64_t load, accepted;
};

static int compare_ranks(const void *a, const void *b)
{
    const struct rank *x = a, *y = b;
    if (x->load != y->load)
        return x->load < y->load ? 1 : -1;
    if (x->accepted != y->accepted)
        return x->accepted < y->accepted ? 1 : -1;
    return strcmp(x->id.text, y->id.text);
}

static int compare_workspaces(const void *a, const void *b)
{
    const struct workspace_load *x = a, *y = b;
    return compare_ranks(&(struct rank){x->id, x->queued + x->running, x->accepted},
                         &(struct rank){y->id, y->queued + y->running, y->accepted});
}

static enum err read_busiest(struct db *db, void *ctx, const struct db_rows *loads, size_t limit,
                             struct db_rows **rows_r)
{
    struct rank *ranks = talloc_zero_array(ctx, struct rank, loads->count + 1);
    struct db_value *ids = talloc_array(ctx, struct db_value, limit + 1);
    size_t n = loads->count < limit ? loads->count : limit;
    for (size_t i = 0; i < loads->count; i++)
        ranks[i] = (struct rank){db_get_id(loads, i, WORKSPACE_LOAD_WORKSPACE_ID), load_of(loads, i),
                                 db_int(loads, i, WORKSPACE_LOAD_ACCEPTED)};
    qsort(ranks, loads->count, sizeof *ranks, compare_ranks);
    for (size_t i = 0; i < n; i++)
        ids[i] = db_id(&ranks[i].id);
    return db_run_each(db, ctx, SQL_WORKSPACE_SOME, NULL, 0, ids, 1, n, rows_r);
}

static bool has_workspace(const struct workspace_load *list, size_t n, const id *workspace)
{
    for (size_t i = 0; i < n; i++) {
        if (id_equal(&list[i].id, workspace))
            return true;
    }
    return false;
}

enum err workspace_load_list(struct db *db, void *ctx, const struct workspace_load_query *q,
                             struct workspace_load **list_r, size_t *n_r)
{
    struct db_rows *loads, *busy = NULL, *rows;
    enum err e = read_loads(db, ctx, &loads);
    if (e == OK && q->by_load)
        e = read_busiest(db, ctx, loads, q->limit, &busy);
    const struct workspace_load_query first = {.limit = q->limit};
    if (e == OK)
        e = read_page(db, ctx, q->by_load ? &first : q, &rows);
    if (e != OK)
        return e;
    size_t busy_n = busy ? busy->count : 0, n = 0;
    *list_r = talloc_zero_array(ctx, struct workspace_load, busy_n + rows->count + 1);
    for (size_t i = 0; i < busy_n && n < q->limit; i++)
        (*list_r)[n++] = read_workspace(busy, i, loads);
    qsort(*list_r, n, sizeof **list_r, compare_workspaces);
    for (size_t i = 0; i < rows->count && n < q->limit; i++) {
        id workspace = db_get_id(rows, i, WORKSPACE_PAGE_ID);
        if (!has_workspace(*list_r, busy_n, &workspace))
            (*list_r)[n++] = read_workspace(rows, i, loads);
    }
    *n_r = n;
    return OK;
}

enum err workspace_load_get(struct db *db, void *ctx, const id *workspace, struct workspace_load *load_r)
{
    struct db_value arg = db_id(workspace);
    struct db_rows *loads, *rows;
    enum err e = read_loads(db, ctx, &loads);
    if (e == OK)
        e = db_run_each(db, ctx, SQL_WORKSPACE_SOME, NULL, 0, &arg, 1, 1, &rows);
    if (e != OK)
        return e;
    if (rows->count == 0)
        return ERR_NOT_FOUND;
    *load_r = read_workspace(rows, 0, loads);
    return OK;
}
