#include "store/execution.h"

#include <stdlib.h>
#include <talloc.h>

#include "mariadb/store.h"

/* As the queries execution_get and execution_by_ids begin their rows. */
static struct execution execution_from_row(const struct db_rows *rows, size_t i, const id *workspace)
{
    struct execution exec = {
        .id = db_get_id(rows, i, 0),
        .workspace_id = *workspace,
        .responder_id = db_get_id(rows, i, 1),
        .root_id = db_get_id(rows, i, 2),
        .parent_id = db_get_id(rows, i, 3),
        .retry_of = db_get_id(rows, i, 4),
        .kind = (enum responder_kind)db_int(rows, i, 5),
        .source = (enum run_source)db_int(rows, i, 6),
        .agentic = db_int(rows, i, 7) != 0,
        .version = (int)db_int(rows, i, 8),
        .state = (enum run_state)db_int(rows, i, 9),
        .reason = (enum failure_reason)db_int(rows, i, 10),
        .cost = db_int(rows, i, 11),
        .refunded = db_int(rows, i, 12),
        .started_ms = db_int(rows, i, 13),
        .ended_ms = db_int(rows, i, 14),
        .updated_ms = db_int(rows, i, 15),
        .purged_ms = db_int(rows, i, 16),
        .tags = db_str(rows, i, 17),
        .metadata = db_str(rows, i, 18),
        .extra = db_str(rows, i, 19),
        .error = db_str(rows, i, 20),
    };
    if (rows->columns > 21) {
        exec.has_payload = true;
        exec.input = db_str(rows, i, 21);
        exec.output = db_str(rows, i, 22);
        exec.has_children = db_int(rows, i, 23) != 0;
    }
    return exec;
}

enum err execution_get(struct db *db, void *ctx, const id *workspace, const id *execution,
                       struct execution *exec_r)
{
    struct db_value args[] = {db_id(execution), db_id(workspace)};
    struct db_rows *rows;
    enum err e = store_read(db, ctx, SQL_EXECUTION_GET, args, 2, &rows);
    if (e != OK)
        return e;
    if (rows->count == 0)
        return ERR_NOT_FOUND;
    *exec_r = execution_from_row(rows, 0, workspace);
    return OK;
}

enum err execution_kind(struct db *db, void *ctx, const id *workspace, const id *execution,
                        enum responder_kind *kind_r)
{
    struct db_value args[] = {db_id(execution), db_id(workspace)};
    struct db_rows *rows;
    enum err e = store_read(db, ctx, SQL_EXECUTION_GET_KIND, args, 2, &rows);
    if (e != OK)
        return e;
    if (rows->count == 0)
        return ERR_NOT_FOUND;
    *kind_r = (enum responder_kind)db_int(rows, 0, 0);
    return OK;
}

static int newest_execution_first(const void *a, const void *b)
{
    return id_compare(&((const struct execution *)b)->id, &((const struct execution *)a)->id);
}

enum err execution_get_all(struct db *db, void *ctx, const id *workspace, const id *ids, size_t n,
                           struct execution **list_r, size_t *count_r)
{
    struct db_value *each = talloc_array(ctx, struct db_value, n + 1);
    for (size_t i = 0; i < n; i++)
        each[i] = db_id(&ids[i]);
    struct db_value ws = db_id(workspace);
    struct db_rows *rows;
    enum err e = store_read_each(db, ctx, SQL_EXECUTION_BY_IDS, &ws, 1, each, 1, n, &rows);
    if (e != OK)
        return e;
    struct execution *list = talloc_array(ctx, struct execution, rows->count + 1);
    for (size_t i = 0; i < rows->count; i++)
        list[i] = execution_from_row(rows, i, workspace);
    qsort(list, rows->count, sizeof *list, newest_execution_first);
    *list_r = list;
    *count_r = rows->count;
    return OK;
}

const struct execution *execution_find(const struct execution *list, size_t n, const id *execution)
{
    struct execution wanted = {.id = *execution};
    return bsearch(&wanted, list, n, sizeof *list, newest_execution_first);
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
