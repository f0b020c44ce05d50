#include "store/skill_execution.h"

#include <talloc.h>

#include "mariadb/db.h"

static struct span cell_span(const struct db_rows *rows, size_t column)
{
    const struct db_cell *c = db_cell(rows, 0, column);
    return c->is_null ? (struct span){0} : (struct span){.at = c->text, .size = c->size};
}

/* The columns of skill_execution_children, with which a row of skill_execution_get begins. */
static struct skill_execution skill_execution_from_row(const struct db_rows *rows, size_t i)
{
    return (struct skill_execution){
        .id = db_get_id(rows, i, SKILL_EXECUTION_CHILDREN_ID),
        .tenant_id = db_get_id(rows, i, SKILL_EXECUTION_CHILDREN_TENANT_ID),
        .workspace_id = db_get_id(rows, i, SKILL_EXECUTION_CHILDREN_WORKSPACE_ID),
        .principal_id = db_get_id(rows, i, SKILL_EXECUTION_CHILDREN_PRINCIPAL_ID),
        .slug = db_str(rows, i, SKILL_EXECUTION_CHILDREN_SLUG),
        .label = db_str(rows, i, SKILL_EXECUTION_CHILDREN_LABEL),
        .source = (enum run_source)db_int(rows, i, SKILL_EXECUTION_CHILDREN_SOURCE),
        .state = (enum run_state)db_int(rows, i, SKILL_EXECUTION_CHILDREN_STATE),
        .parent_id = db_get_id(rows, i, SKILL_EXECUTION_CHILDREN_PARENT_ID),
        .started_ms = db_int(rows, i, SKILL_EXECUTION_CHILDREN_STARTED_MS),
        .ended_ms = db_int(rows, i, SKILL_EXECUTION_CHILDREN_ENDED_MS),
        .reason = (enum failure_reason)db_int(rows, i, SKILL_EXECUTION_CHILDREN_FAILURE_REASON),
        .usage.input_tokens = db_int(rows, i, SKILL_EXECUTION_CHILDREN_INPUT_TOKENS),
        .usage.output_tokens = db_int(rows, i, SKILL_EXECUTION_CHILDREN_OUTPUT_TOKENS),
        .usage.cost = db_int(rows, i, SKILL_EXECUTION_CHILDREN_COST),
        .usage.has_wallclock = !db_cell(rows, i, SKILL_EXECUTION_CHILDREN_WALLCLOCK_MS)->is_null,
        .usage.wallclock_ms = db_int(rows, i, SKILL_EXECUTION_CHILDREN_WALLCLOCK_MS),
        .usage.iterations = (int)db_int(rows, i, SKILL_EXECUTION_CHILDREN_ITERATIONS),
    };
}

static struct skill_execution skill_execution_from_full_row(const struct db_rows *rows)
{
    struct skill_execution exec = skill_execution_from_row(rows, 0);
    exec.usage.trace_id = db_str(rows, 0, SKILL_EXECUTION_GET_TRACE_ID);
    exec.input = cell_span(rows, SKILL_EXECUTION_GET_INPUT);
    exec.extra = db_str(rows, 0, SKILL_EXECUTION_GET_EXTRA);
    exec.output = cell_span(rows, SKILL_EXECUTION_GET_OUTPUT);
    exec.error = db_str(rows, 0, SKILL_EXECUTION_GET_ERROR);
    exec.thread_id = db_str(rows, 0, SKILL_EXECUTION_GET_THREAD_ID);
    exec.message_id = db_get_id(rows, 0, SKILL_EXECUTION_GET_MESSAGE_ID);
    exec.tool_call_id = db_str(rows, 0, SKILL_EXECUTION_GET_TOOL_CALL_ID);
    return exec;
}

static enum err load_children(struct db *db, void *ctx, struct skill_execution *exec)
{
    struct db_value args[] = {db_id(&exec->id), db_id(&exec->workspace_id)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_SKILL_EXECUTION_CHILDREN, args, 2, &rows);
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
    enum err e = db_run(db, ctx, SQL_SKILL_EXECUTION_GET, args, 2, &rows);
    if (e == OK && rows->count == 0)
        e = ERR_NOT_FOUND;
    if (e != OK)
        return e;
    *exec_r = skill_execution_from_full_row(rows);
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
    enum err e = db_run(db, ctx, SQL_EXECUTION_CHAT_FIND, args, 2, &rows);
    if (e == OK && rows->count == 0)
        e = ERR_NOT_FOUND;
    if (e == OK)
        *execution_r = db_get_id(rows, 0, EXECUTION_CHAT_FIND_EXECUTION_ID);
    return e;
}
