#include "store/event.h"

#include <talloc.h>

#include "mariadb/db.h"

enum err events_read(struct db *db, void *ctx, const id *workspace, const id *execution, int after,
                     struct event_page *page_r)
{
    struct db_value args[] = {db_number(after), db_id(workspace), db_id(execution)};
    struct db_rows *rows;
    *page_r = (struct event_page){0};
    enum err e = db_run(db, ctx, SQL_EVENT_PAGE, args, 3, &rows);
    if (e != OK)
        return e;
    if (rows->count == 0)
        return ERR_NOT_FOUND;
    page_r->state = (enum run_state)db_int(rows, 0, EVENT_PAGE_STATE);
    page_r->last_seq = (int)db_int(rows, 0, EVENT_PAGE_LAST_SEQ);
    page_r->rows = talloc_zero_array(ctx, struct event_row, rows->count);
    for (size_t i = 0; i < rows->count && !db_cell(rows, i, EVENT_PAGE_SEQ)->is_null; i++) {
        page_r->rows[page_r->count++] = (struct event_row){
            .seq = (int)db_int(rows, i, EVENT_PAGE_SEQ),
            .type = (enum event_type)db_int(rows, i, EVENT_PAGE_TYPE),
            .at_ms = db_int(rows, i, EVENT_PAGE_AT_MS),
            .data = db_str(rows, i, EVENT_PAGE_DATA),
        };
    }
    return OK;
}

enum err event_newest_of_type(struct db *db, void *ctx, const id *execution, enum event_type type,
                              const char **data_r)
{
    struct db_value args[] = {db_id(execution), db_number(type)};
    struct db_rows *rows;
    *data_r = NULL;
    enum err e = db_run(db, ctx, SQL_EVENT_NEWEST_OF_TYPE, args, 2, &rows);
    if (e == OK && rows->count > 0)
        *data_r = db_str(rows, 0, EVENT_NEWEST_OF_TYPE_DATA);
    return e;
}

static struct db_value *id_values(void *ctx, const id *ids, size_t n)
{
    struct db_value *values = talloc_array(ctx, struct db_value, n + 1);
    for (size_t i = 0; i < n; i++)
        values[i] = db_id(&ids[i]);
    return values;
}

enum err execution_progress_list(struct db *db, void *ctx, const id *executions, size_t n,
                                 struct run_progress **list_r, size_t *count_r)
{
    struct db_rows *rows;
    enum err e =
        db_run_each(db, ctx, SQL_EXECUTION_PROGRESS, NULL, 0, id_values(ctx, executions, n), 1, n, &rows);
    if (e != OK)
        return e;
    struct run_progress *list = talloc_zero_array(ctx, struct run_progress, rows->count + 1);
    for (size_t i = 0; i < rows->count; i++) {
        list[i] = (struct run_progress){
            .execution_id = db_get_id(rows, i, EXECUTION_PROGRESS_ID),
            .workspace_id = db_get_id(rows, i, EXECUTION_PROGRESS_WORKSPACE_ID),
            .state = (enum run_state)db_int(rows, i, EXECUTION_PROGRESS_STATE),
            .last_seq = (int)db_int(rows, i, EXECUTION_PROGRESS_LAST_SEQ),
        };
    }
    *list_r = list;
    *count_r = rows->count;
    return OK;
}

enum err execution_progress(struct db *db, void *ctx, const id *workspace, const id *execution,
                            struct run_progress *progress_r)
{
    struct run_progress *list;
    size_t n;
    enum err e = execution_progress_list(db, ctx, execution, 1, &list, &n);
    if (e == OK && (n == 0 || !id_equal(&list[0].workspace_id, workspace)))
        e = ERR_NOT_FOUND;
    if (e == OK)
        *progress_r = list[0];
    return e;
}
