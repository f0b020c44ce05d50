#include "store/skill_execution.h"

#include <talloc.h>

#include "mariadb/store.h"

static struct span span_of(const struct db_rows *rows, size_t i, size_t column)
{
    const struct db_cell *c = db_cell(rows, i, column);
    return c->is_null ? (struct span){0} : (struct span){.at = c->text, .size = c->size};
}

/* As the queries skill_execution_get and skill_execution_children begin their rows. */
static struct skill_execution skill_execution_from_row(const struct db_rows *rows, size_t i)
{
    struct skill_execution exec = {
        .id = db_get_id(rows, i, 0),
        .tenant_id = db_get_id(rows, i, 1),
        .workspace_id = db_get_id(rows, i, 2),
        .principal_id = db_get_id(rows, i, 3),
        .slug = db_str(rows, i, 4),
        .label = db_str(rows, i, 5),
        .source = (enum run_source)db_int(rows, i, 6),
        .state = (enum run_state)db_int(rows, i, 7),
        .parent_id = db_get_id(rows, i, 8),
        .started_ms = db_int(rows, i, 9),
        .ended_ms = db_int(rows, i, 10),
        .reason = (enum failure_reason)db_int(rows, i, 11),
        .usage.input_tokens = db_int(rows, i, 12),
        .usage.output_tokens = db_int(rows, i, 13),
        .usage.cost = db_int(rows, i, 14),
        .usage.has_wallclock = !db_cell(rows, i, 15)->is_null,
        .usage.wallclock_ms = db_int(rows, i, 15),
        .usage.iterations = (int)db_int(rows, i, 16),
    };
    if (rows->columns > 17) {
        exec.usage.trace_id = db_str(rows, i, 17);
        exec.input = span_of(rows, i, 18);
        exec.extra = db_str(rows, i, 19);
        exec.output = span_of(rows, i, 20);
        exec.error = db_str(rows, i, 21);
        exec.thread_id = db_str(rows, i, 22);
        exec.message_id = db_get_id(rows, i, 23);
        exec.tool_call_id = db_str(rows, i, 24);
    }
    return exec;
}

static enum err load_children(struct db *db, void *ctx, struct skill_execution *exec)
{
    struct db_value args[] = {db_id(&exec->id), db_id(&exec->workspace_id)};
    struct db_rows *rows;
    enum err e = store_read(db, ctx, SQL_SKILL_EXECUTION_CHILDREN, args, 2, &rows);
    if (e != OK)
        return e;
    struct skill_execution *list = talloc_array(ctx, struct skill_execution, rows->count + 1);
    for (size_t i = 0; i < rows->count; i++)
        list[i] = skill_execution_from_row(rows, i);
    exec->children = list;
    exec->children_n = rows->count;
    return OK;
}

enum err skill_execution_get(struct db *db, void *ctx, const id *workspace, const id *execution,
                             struct skill_execution *exec_r)
{
    struct db_value args[] = {db_id(execution), db_id(workspace)};
    struct artifact *artifacts = NULL;
    struct db_rows *rows;
    enum err e = store_read(db, ctx, SQL_SKILL_EXECUTION_GET, args, 2, &rows);
    if (e == OK && rows->count == 0)
        e = ERR_NOT_FOUND;
    if (e != OK)
        return e;
    *exec_r = skill_execution_from_row(rows, 0);
    e = load_children(db, ctx, exec_r);
    if (e == OK)
        e = artifact_list(db, ctx, execution, &artifacts, &exec_r->artifacts_n);
    exec_r->artifacts = artifacts;
    return e;
}

enum err execution_by_tool_call(struct db *db, void *ctx, const id *workspace, const char *tool_call_id,
                                id *execution_r)
{
    struct db_value args[] = {db_id(workspace), db_text(tool_call_id)};
    struct db_rows *rows;
    enum err e = store_read(db, ctx, SQL_EXECUTION_CHAT_FIND, args, 2, &rows);
    if (e == OK && rows->count == 0)
        e = ERR_NOT_FOUND;
    if (e == OK)
        *execution_r = db_get_id(rows, 0, 0);
    return e;
}
