#include "store/execution.h"

#include <stdlib.h>
#include <talloc.h>

#include "mariadb/db.h"

struct trace_context execution_trace(const struct db_cell *stored, const id *root)
{
    struct trace_context t = trace_from_bytes(stored->text, stored->size);
    return trace_is_set(&t) ? t : trace_of_root(root);
}

/* The columns that execution_get, execution_by_ids and execution_page share. */
static struct execution execution_from_row(const struct db_rows *rows, size_t i, const id *workspace,
                                           const id *execution)
{
    id root = db_get_id(rows, i, EXECUTION_GET_ROOT_ID);
    return (struct execution){
        .id = *execution,
        .workspace_id = *workspace,
        .responder_id = db_get_id(rows, i, EXECUTION_GET_RESPONDER_ID),
        .root_id = root,
        .parent_id = db_get_id(rows, i, EXECUTION_GET_PARENT_ID),
        .retry_of = db_get_id(rows, i, EXECUTION_GET_RETRY_OF),
        .kind = (enum responder_kind)db_int(rows, i, EXECUTION_GET_KIND),
        .source = (enum run_source)db_int(rows, i, EXECUTION_GET_SOURCE),
        .agentic = db_int(rows, i, EXECUTION_GET_AGENTIC) != 0,
        .version = (int)db_int(rows, i, EXECUTION_GET_VERSION),
        .state = (enum run_state)db_int(rows, i, EXECUTION_GET_STATE),
        .reason = (enum failure_reason)db_int(rows, i, EXECUTION_GET_FAILURE_REASON),
        .cost = db_int(rows, i, EXECUTION_GET_COST),
        .refunded = db_int(rows, i, EXECUTION_GET_REFUNDED),
        .started_ms = db_int(rows, i, EXECUTION_GET_STARTED_MS),
        .ended_ms = db_int(rows, i, EXECUTION_GET_ENDED_MS),
        .updated_ms = db_int(rows, i, EXECUTION_GET_UPDATED_MS),
        .purged_ms = db_int(rows, i, EXECUTION_GET_PURGED_MS),
        .tags = db_str(rows, i, EXECUTION_GET_TAGS),
        .metadata = db_str(rows, i, EXECUTION_GET_METADATA),
        .extra = db_str(rows, i, EXECUTION_GET_EXTRA),
        .error = db_str(rows, i, EXECUTION_GET_ERROR),
        .trace = execution_trace(db_cell(rows, i, EXECUTION_GET_TRACE_CONTEXT), &root),
        .has_trace = !db_cell(rows, i, EXECUTION_GET_TRACE_CONTEXT)->is_null,
    };
}

static enum err read_retries(struct db *db, void *ctx, struct execution *exec)
{
    struct db_value arg = db_id(&exec->id);
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_EXECUTION_RETRIES, &arg, 1, &rows);
    if (e != OK)
        return e;
    exec->retries = talloc_array(ctx, id, rows->count + 1);
    exec->retries_n = rows->count;
    for (size_t i = 0; i < rows->count; i++)
        exec->retries[i] = db_get_id(rows, i, EXECUTION_RETRIES_EXECUTION_ID);
    return OK;
}

static enum err read_times(struct db *db, void *ctx, struct execution *exec)
{
    struct db_value arg = db_id(&exec->id);
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_EXECUTION_TIMES, &arg, 1, &rows);
    if (e == OK && rows->count > 0) {
        exec->start_at_ms = db_int(rows, 0, EXECUTION_TIMES_START_MS);
        exec->expires_at_ms = db_int(rows, 0, EXECUTION_TIMES_EXPIRES_MS);
    }
    return e;
}

/* What side_rows says, or may say: all of them if it is not known. */
static unsigned possible_side_rows(const struct db_cell *side_rows)
{
    return side_rows->is_null ? SIDE_ROWS_TIMES | SIDE_ROWS_RETRIES : (unsigned)side_rows->number;
}

enum err execution_get(struct db *db, void *ctx, const id *workspace, const id *execution,
                       struct execution *exec_r)
{
    struct db_value args[] = {db_id(execution), db_id(workspace)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_EXECUTION_GET, args, 2, &rows);
    if (e != OK)
        return e;
    if (rows->count == 0)
        return ERR_NOT_FOUND;
    *exec_r = execution_from_row(rows, 0, workspace, execution);
    exec_r->has_payload = true;
    exec_r->input = db_str(rows, 0, EXECUTION_GET_INPUT);
    exec_r->output = db_str(rows, 0, EXECUTION_GET_OUTPUT);
    exec_r->has_children = db_int(rows, 0, EXECUTION_GET_HAS_CHILDREN) != 0;
    unsigned side_rows = possible_side_rows(db_cell(rows, 0, EXECUTION_GET_SIDE_ROWS));
    if (side_rows & SIDE_ROWS_TIMES)
        e = read_times(db, ctx, exec_r);
    return e == OK && side_rows & SIDE_ROWS_RETRIES ? read_retries(db, ctx, exec_r) : e;
}

enum err execution_read_trace_state(struct db *db, void *ctx, struct execution *exec)
{
    struct db_value args[] = {db_id(&exec->id), db_id(&exec->workspace_id)};
    struct db_rows *rows;
    if (!exec->has_trace)
        return OK;
    enum err e = db_run(db, ctx, SQL_EXECUTION_TRACE_STATE, args, 2, &rows);
    if (e == OK && rows->count > 0)
        exec->trace_state = db_str(rows, 0, EXECUTION_TRACE_STATE_TRACE_STATE);
    return e;
}

enum err execution_kind(struct db *db, void *ctx, const id *workspace, const id *execution,
                        enum responder_kind *kind_r)
{
    struct db_value args[] = {db_id(execution), db_id(workspace)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_EXECUTION_GET_KIND, args, 2, &rows);
    if (e != OK)
        return e;
    if (rows->count == 0)
        return ERR_NOT_FOUND;
    *kind_r = (enum responder_kind)db_int(rows, 0, EXECUTION_GET_KIND_KIND);
    return OK;
}

enum err execution_outcome(struct db *db, void *ctx, const id *workspace, const id *execution,
                           struct execution *exec_r, id *key_r)
{
    struct db_value args[] = {db_id(execution), db_id(workspace)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_EXECUTION_OUTCOME, args, 2, &rows);
    if (e != OK)
        return e;
    if (rows->count == 0)
        return ERR_NOT_FOUND;
    *key_r = db_get_id(rows, 0, EXECUTION_OUTCOME_KEY_ID);
    *exec_r = (struct execution){
        .id = *execution,
        .workspace_id = *workspace,
        .kind = (enum responder_kind)db_int(rows, 0, EXECUTION_OUTCOME_KIND),
        .state = (enum run_state)db_int(rows, 0, EXECUTION_OUTCOME_STATE),
        .reason = (enum failure_reason)db_int(rows, 0, EXECUTION_OUTCOME_FAILURE_REASON),
        .cost = db_int(rows, 0, EXECUTION_OUTCOME_COST),
        .refunded = db_int(rows, 0, EXECUTION_OUTCOME_REFUNDED),
        .purged_ms = db_int(rows, 0, EXECUTION_OUTCOME_PURGED_MS),
        .error = db_str(rows, 0, EXECUTION_OUTCOME_ERROR),
        .output = db_str(rows, 0, EXECUTION_OUTCOME_OUTPUT),
    };
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
    enum err e = db_run_each(db, ctx, SQL_EXECUTION_BY_IDS, &ws, 1, each, 1, n, &rows);
    if (e != OK)
        return e;
    struct execution *list = talloc_array(ctx, struct execution, rows->count + 1);
    for (size_t i = 0; i < rows->count; i++) {
        id execution = db_get_id(rows, i, EXECUTION_BY_IDS_ID);
        list[i] = execution_from_row(rows, i, workspace, &execution);
        list[i].start_at_ms = db_int(rows, i, EXECUTION_BY_IDS_START_MS);
        list[i].expires_at_ms = db_int(rows, i, EXECUTION_BY_IDS_EXPIRES_MS);
    }
    qsort(list, rows->count, sizeof *list, newest_execution_first);
    *list_r = list;
    *count_r = rows->count;
    return OK;
}

enum err execution_read_page(struct db *db, void *ctx, const id *workspace, const struct db_rows *rows,
                             struct execution **list_r, size_t *count_r)
{
    struct execution *list = talloc_array(ctx, struct execution, rows->count + 1);
    id *ids = talloc_array(list, id, rows->count + 1);
    unsigned side_rows = 0;
    for (size_t i = 0; i < rows->count; i++) {
        ids[i] = db_get_id(rows, i, EXECUTION_PAGE_ID);
        list[i] = execution_from_row(rows, i, workspace, &ids[i]);
        side_rows |= possible_side_rows(db_cell(rows, i, EXECUTION_PAGE_SIDE_ROWS));
    }
    if (side_rows & SIDE_ROWS_TIMES)
        return execution_get_all(db, ctx, workspace, ids, rows->count, list_r, count_r);
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
    enum err e = db_run(db, ctx, SQL_EXECUTION_STEPS, &arg, 1, &rows);
    if (e != OK)
        return e;
    struct execution_step *list = talloc_array(ctx, struct execution_step, rows->count + 1);
    for (size_t i = 0; i < rows->count; i++) {
        list[i] = (struct execution_step){
            .step = (int)db_int(rows, i, EXECUTION_STEPS_STEP),
            .status = (enum step_status)db_int(rows, i, EXECUTION_STEPS_STATUS),
            .tries = (int)db_int(rows, i, EXECUTION_STEPS_TRIES),
            .started_ms = db_int(rows, i, EXECUTION_STEPS_STARTED_MS),
            .completed_ms = db_int(rows, i, EXECUTION_STEPS_COMPLETED_MS),
            .result = db_str(rows, i, EXECUTION_STEPS_RESULT),
            .error = db_str(rows, i, EXECUTION_STEPS_ERROR),
        };
    }
    *list_r = list;
    *count_r = rows->count;
    return OK;
}

enum err execution_step_states(struct db *db, void *ctx, const id *execution, struct execution_step **list_r,
                               size_t *count_r)
{
    struct db_value arg = db_id(execution);
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_EXECUTION_STEP_STATES, &arg, 1, &rows);
    if (e != OK)
        return e;
    struct execution_step *list = talloc_zero_array(ctx, struct execution_step, rows->count + 1);
    for (size_t i = 0; i < rows->count; i++) {
        list[i].step = (int)db_int(rows, i, EXECUTION_STEP_STATES_STEP);
        list[i].status = (enum step_status)db_int(rows, i, EXECUTION_STEP_STATES_STATUS);
    }
    *list_r = list;
    *count_r = rows->count;
    return OK;
}
