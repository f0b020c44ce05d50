#include "core/store_workflow.h"

#include <talloc.h>

#include "core/store.h"

/* As the queries workflow_now, workflow_get and workflow_list begin their rows. */
static struct workflow from_row(const struct db_rows *rows, size_t i, const id *workspace)
{
    struct workflow w = {
        .workspace_id = *workspace,
        .id = db_get_id(rows, i, 0),
        .name = db_str(rows, i, 1),
        .version = (int)db_int(rows, i, 2),
        .credits = db_int(rows, i, 3),
        .price = db_cell(rows, i, 4)->is_null ? -1 : db_int(rows, i, 4),
    };
    if (rows->columns > 5) {
        w.description = db_str(rows, i, 5);
        w.created_by = db_get_id(rows, i, 6);
        w.created_ms = db_int(rows, i, 7);
        w.updated_ms = db_int(rows, i, 8);
        id last_run = db_get_id(rows, i, 9);
        w.last_run_ms = id_is_set(&last_run) ? id_ms(&last_run) : 0;
    }
    if (rows->columns > 10) {
        w.program = db_str(rows, i, 10);
        w.program_size = db_cell(rows, i, 10)->size;
    }
    return w;
}

static enum err get_one(struct db *db, void *ctx, enum sql_id query, const id *workspace, const id *workflow,
                        struct workflow *w_r)
{
    struct db_value args[] = {db_id(workflow), db_id(workspace)};
    struct db_rows *rows;
    enum err e = store_read(db, ctx, query, args, 2, &rows);
    if (e != OK)
        return e;
    if (rows->count == 0)
        return ERR_NOT_FOUND;
    *w_r = from_row(rows, 0, workspace);
    return OK;
}

enum err workflow_get(struct db *db, void *ctx, const id *workspace, const id *workflow, struct workflow *w_r)
{
    return get_one(db, ctx, SQL_WORKFLOW_GET, workspace, workflow, w_r);
}

enum err workflow_now(struct db *db, void *ctx, const id *workspace, const id *workflow, struct workflow *w_r)
{
    return get_one(db, ctx, SQL_WORKFLOW_NOW, workspace, workflow, w_r);
}

enum err workflow_version(struct db *db, void *ctx, const id *workspace, const id *workflow, int version,
                          const char **program_r, size_t *size_r)
{
    struct db_value args[] = {db_id(workflow), db_number(version), db_id(workspace)};
    struct db_rows *rows;
    enum err e = store_read(db, ctx, SQL_WORKFLOW_VERSION, args, 3, &rows);
    if (e != OK)
        return e;
    if (rows->count == 0)
        return ERR_NOT_FOUND;
    *program_r = db_str(rows, 0, 0);
    *size_r = db_cell(rows, 0, 0)->size;
    return OK;
}

enum err workflow_list(struct db *db, void *ctx, const id *workspace, const id *after, int64_t limit,
                       struct workflow **list_r, size_t *count_r)
{
    /* above every UUID there is */
    static const id last = {"ffffffff-ffff-ffff-ffff-ffffffffffff"};
    struct db_value args[] = {db_id(workspace), db_id(id_is_set(after) ? after : &last), db_number(limit)};
    struct db_rows *rows;
    enum err e = store_read(db, ctx, SQL_WORKFLOW_LIST, args, 3, &rows);
    if (e != OK)
        return e;
    *list_r = talloc_array(ctx, struct workflow, rows->count + 1);
    for (size_t i = 0; i < rows->count; i++)
        (*list_r)[i] = from_row(rows, i, workspace);
    *count_r = rows->count;
    return OK;
}
