#include "store/workflow.h"

#include <string.h>
#include <talloc.h>

#include "account/account.h"
#include "account/credits.h"
#include "base/log.h"
#include "deed/deed.h"
#include "mariadb/db.h"

/* The columns of workflow_current, with which rows of workflow_list and workflow_get begin. */
static struct workflow workflow_from_row(const struct db_rows *rows, size_t i, const id *workspace)
{
    return (struct workflow){
        .workspace_id = *workspace,
        .id = db_get_id(rows, i, WORKFLOW_CURRENT_ID),
        .name = db_str(rows, i, WORKFLOW_CURRENT_NAME),
        .version = (int)db_int(rows, i, WORKFLOW_CURRENT_VERSION),
        .credits = db_int(rows, i, WORKFLOW_CURRENT_CREDITS),
        .price = db_int_or(rows, i, WORKFLOW_CURRENT_PRICE, -1),
        .catalog_version = db_int(rows, i, WORKFLOW_CURRENT_RESPONDERS),
    };
}

/* The columns of workflow_list, with which a row of workflow_get begins. */
static struct workflow workflow_from_list_row(const struct db_rows *rows, size_t i, const id *workspace)
{
    struct workflow w = workflow_from_row(rows, i, workspace);
    id last_run = db_get_id(rows, i, WORKFLOW_LIST_LAST_RUN_ID);
    w.description = db_str(rows, i, WORKFLOW_LIST_DESCRIPTION);
    w.created_by = db_get_id(rows, i, WORKFLOW_LIST_CREATED_BY);
    w.created_ms = db_int(rows, i, WORKFLOW_LIST_CREATED_MS);
    w.updated_ms = db_int(rows, i, WORKFLOW_LIST_UPDATED_MS);
    w.last_run_ms = id_is_set(&last_run) ? id_ms(&last_run) : 0;
    w.tool = db_str(rows, i, WORKFLOW_LIST_TOOL);
    return w;
}

static enum err read_workflow_row(struct db *db, void *ctx, enum sql_id query, const id *workspace,
                                  const id *workflow, struct db_rows **rows_r)
{
    struct db_value args[] = {db_id(workflow), db_id(workspace)};
    enum err e = db_run(db, ctx, query, args, 2, rows_r);
    return e == OK && (*rows_r)->count == 0 ? ERR_NOT_FOUND : e;
}

enum err workflow_get(struct db *db, void *ctx, const id *workspace, const id *workflow, struct workflow *w_r)
{
    struct db_rows *rows;
    enum err e = read_workflow_row(db, ctx, SQL_WORKFLOW_GET, workspace, workflow, &rows);
    if (e != OK)
        return e;
    *w_r = workflow_from_list_row(rows, 0, workspace);
    w_r->program = db_str(rows, 0, WORKFLOW_GET_PROGRAM);
    w_r->program_size = db_cell(rows, 0, WORKFLOW_GET_PROGRAM)->size;
    return OK;
}

enum err workflow_get_current(struct db *db, void *ctx, const id *workspace, const id *workflow,
                              struct workflow *w_r)
{
    struct db_rows *rows;
    enum err e = read_workflow_row(db, ctx, SQL_WORKFLOW_CURRENT, workspace, workflow, &rows);
    if (e == OK)
        *w_r = workflow_from_row(rows, 0, workspace);
    return e;
}

enum err workflow_get_program(struct db *db, void *ctx, const id *workspace, const id *workflow, int version,
                              const char **program_r, size_t *size_r)
{
    struct db_value args[] = {db_id(workflow), db_number(version), db_id(workspace)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_WORKFLOW_VERSION_PROGRAM, args, 3, &rows);
    if (e != OK)
        return e;
    if (rows->count == 0)
        return ERR_NOT_FOUND;
    *program_r = db_str(rows, 0, WORKFLOW_VERSION_PROGRAM_PROGRAM);
    *size_r = db_cell(rows, 0, WORKFLOW_VERSION_PROGRAM_PROGRAM)->size;
    return OK;
}

enum err workflow_version_prices(struct db *db, void *ctx, const id *workspace, const id *workflow,
                                 int version, int64_t *credits_r, int64_t *price_r)
{
    struct db_value args[] = {db_id(workflow), db_number(version), db_id(workspace)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_WORKFLOW_VERSION_PRICES, args, 3, &rows);
    if (e != OK)
        return e;
    if (rows->count == 0)
        return ERR_NOT_FOUND;
    *credits_r = db_int(rows, 0, WORKFLOW_VERSION_PRICES_CREDITS);
    *price_r = db_int_or(rows, 0, WORKFLOW_VERSION_PRICES_PRICE, -1);
    return OK;
}

enum err workflow_list(struct db *db, void *ctx, const id *workspace, const id *after, int64_t limit,
                       struct workflow **list_r, size_t *count_r)
{
    /* the highest UUID */
    static const id last = {"ffffffff-ffff-ffff-ffff-ffffffffffff"};
    struct db_value args[] = {db_id(workspace), db_id(id_is_set(after) ? after : &last), db_number(limit)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_WORKFLOW_LIST, args, 3, &rows);
    if (e != OK)
        return e;
    *list_r = talloc_array(ctx, struct workflow, rows->count + 1);
    for (size_t i = 0; i < rows->count; i++)
        (*list_r)[i] = workflow_from_list_row(rows, i, workspace);
    *count_r = rows->count;
    return OK;
}

enum err workflow_list_tools(struct db *db, void *ctx, const id *workspace, const char *after, int64_t limit,
                             struct workflow **list_r, size_t *count_r)
{
    struct db_value args[] = {db_id(workspace), db_text(after), db_number(limit)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_TOOL_WORKFLOWS, args, 3, &rows);
    if (e != OK)
        return e;
    *list_r = talloc_array(ctx, struct workflow, rows->count + 1);
    for (size_t i = 0; i < rows->count; i++) {
        struct workflow *w = &(*list_r)[i];
        *w = workflow_from_row(rows, i, workspace);
        w->description = db_str(rows, i, TOOL_WORKFLOWS_DESCRIPTION);
        w->tool = db_str(rows, i, TOOL_WORKFLOWS_TOOL);
        w->program = db_str(rows, i, TOOL_WORKFLOWS_PROGRAM);
        w->program_size = db_cell(rows, i, TOOL_WORKFLOWS_PROGRAM)->size;
    }
    *count_r = rows->count;
    return OK;
}

enum err workflow_find_tool(struct db *db, void *ctx, const id *workspace, const char *tool, id *workflow_r)
{
    struct db_value args[] = {db_id(workspace), db_text(tool)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_TOOL_WORKFLOW_FIND, args, 2, &rows);
    if (e != OK)
        return e;
    if (rows->count == 0)
        return ERR_NOT_FOUND;
    *workflow_r = db_get_id(rows, 0, TOOL_WORKFLOW_FIND_ID);
    return OK;
}

enum err workflow_price(struct db *db, void *ctx, const id *workspace, const id *workflow, int64_t *micro_r)
{
    struct db_value args[] = {db_id(workflow), db_id(workspace)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_WORKFLOW_PRICE, args, 2, &rows);
    if (e == OK)
        *micro_r = rows->count && !db_cell(rows, 0, WORKFLOW_PRICE_PRICE)->is_null
                       ? db_int(rows, 0, WORKFLOW_PRICE_PRICE)
                       : CREDIT_MICRO;
    return e;
}

struct workflow_archiving {
    const id *workspace, *workflow;
    int64_t now_ms;
};

static enum err workflow_archive_work(struct db_tx *tx, void *arg)
{
    const struct workflow_archiving *a = arg;
    struct db_value args[] = {db_number(a->now_ms), db_number(a->now_ms), db_id(a->workflow),
                              db_id(a->workspace)};
    struct db_rows *rows;
    enum err e = deed_hold(tx, a->workspace);
    if (e == OK)
        e = account_bump_catalog_version(tx, a->workspace);
    if (e != OK)
        return e;
    e = db_run(tx->db, tx->ctx, SQL_WORKFLOW_ARCHIVE, args, 4, &rows);
    if (e == OK && rows->affected == 0)
        e = ERR_NOT_FOUND;
    return e == OK ? deed_record(tx, "workflow.archive", a->workspace, a->workflow->text, NULL) : e;
}

enum err workflow_archive(struct db *db, const id *workspace, const id *workflow, int64_t now_ms)
{
    struct workflow_archiving archive = {workspace, workflow, now_ms};
    return db_transaction(db, workflow_archive_work, &archive);
}

/* --- a new version --- */

struct workflow_write {
    const struct workflow_change *c;
    struct workflow_outcome *outcome;
    /* Owns the body of a replay. */
    void *ctx;
    struct db_tx *tx;
    /* What the walk over the calls found before the account was locked, and the catalog version at that time.
     * Later versions of the workspace's workflows may call others: then the walk is repeated. */
    struct json_problems *call_problems;
    int64_t walked_version;
    bool walk_is_stale;
};

enum { WALKS_MAX = 5 };

static struct db_value span_value_or_empty(struct span s)
{
    return s.at ? db_bytes(s.at, s.size) : db_bytes("", 0);
}

struct stored_calls {
    struct db *db;
    const id *workspace;
};

/* For program_find_loop: what the current versions of stored workflows call. */
static enum err read_calls(void *arg, void *ctx, const char *const *workflow_ids, size_t n,
                           struct program_call **calls_r, size_t *count_r)
{
    const struct stored_calls *stored = arg;
    struct db_value workspace = db_id(stored->workspace);
    struct db_value *ids = talloc_array(ctx, struct db_value, n);
    struct db_rows *rows;
    for (size_t i = 0; i < n; i++)
        ids[i] = db_text(workflow_ids[i]);
    enum err e = db_run_each(stored->db, ctx, SQL_WORKFLOW_CHILDREN, &workspace, 1, ids, 1, n, &rows);
    if (e != OK)
        return e;
    *calls_r = talloc_array(ctx, struct program_call, rows->count + 1);
    for (size_t i = 0; i < rows->count; i++)
        (*calls_r)[i] = (struct program_call){db_str(rows, i, WORKFLOW_CHILDREN_ID),
                                              db_str(rows, i, WORKFLOW_CHILDREN_CHILD_ID)};
    *count_r = rows->count;
    return OK;
}

static bool calls_workflows(const struct program *program)
{
    for (size_t i = 0; i < program->step_count; i++) {
        if (program->steps[i].type == STEP_TYPE_WORKFLOW)
            return true;
    }
    return false;
}

/* Walks over the calls before the account is locked, because a walk may take many reads. */
static enum err walk_calls(struct db *db, struct workflow_write *put)
{
    const struct workflow_change *c = put->c;
    struct stored_calls stored = {db, &c->workspace_id};
    struct program_graph graph = {.calls = read_calls, .arg = &stored};
    struct db_value workspace = db_id(&c->workspace_id);
    struct db_rows *rows;
    put->call_problems = json_problems_new(put->ctx);
    put->walked_version = 0;
    if (!calls_workflows(c->compiled))
        return OK;
    enum err e = db_run(db, put->ctx, SQL_WORKFLOW_CATALOG_VERSION, &workspace, 1, &rows);
    if (e == OK && rows->count == 0)
        e = ERR_NOT_FOUND;
    if (e != OK)
        return e;
    put->walked_version = db_int(rows, 0, WORKFLOW_CATALOG_VERSION_RESPONDERS);
    return program_find_loop(put->ctx, c->compiled, c->is_new ? NULL : c->workflow_id.text, &graph,
                             put->call_problems);
}

/* Under the account's lock: what the walk found holds if no workflow has changed since. ERR_CONFLICT: walk
 * again. */
static enum err check_calls(struct workflow_write *put, const struct account *account)
{
    const struct json_problems *found = put->call_problems;
    put->walk_is_stale = put->walked_version && put->walked_version != account->catalog_version;
    if (put->walk_is_stale)
        return ERR_CONFLICT;
    for (size_t i = 0; i < found->count; i++)
        json_problems_add(put->c->problems, found->list[i].pointer, "%s", found->list[i].message);
    return put->c->problems->total > 0 ? ERR_INVALID : OK;
}

static enum err write_workflow_calls(struct workflow_write *put)
{
    const struct program *program = put->c->compiled;
    struct db_value own = db_id(&put->c->workflow_id);
    struct db_value *each = talloc_array(put->tx->ctx, struct db_value,
                                         WORKFLOW_CALLS_INSERT_SET_COUNT * program->step_count + 1);
    size_t n = 0;
    for (size_t i = 0; i < program->step_count; i++) {
        const char *child = program->steps[i].workflow_id;
        bool seen = false;
        for (size_t k = 0; k < n && child && !seen; k++)
            seen = strcmp(each[WORKFLOW_CALLS_INSERT_SET_COUNT * k + WORKFLOW_CALLS_INSERT_SET_CHILD_ID].text,
                          child) == 0;
        if (!child || seen)
            continue;
        struct db_value *v = &each[WORKFLOW_CALLS_INSERT_SET_COUNT * n++];
        v[WORKFLOW_CALLS_INSERT_SET_WORKFLOW_ID] = own;
        v[WORKFLOW_CALLS_INSERT_SET_CHILD_ID] = db_text(child);
    }
    enum err e = db_run(put->tx->db, put->tx->ctx, SQL_WORKFLOW_CALLS_DELETE, &own, 1, NULL);
    if (e == OK)
        e = db_run_each(put->tx->db, put->tx->ctx, SQL_WORKFLOW_CALLS_INSERT, NULL, 0, each,
                        WORKFLOW_CALLS_INSERT_SET_COUNT, n, NULL);
    return e;
}

static struct db_value tool_value(const struct workflow_change *c)
{
    return c->tool.at ? db_bytes(c->tool.at, c->tool.size) : db_null();
}

static enum err write_workflow_version(struct workflow_write *put)
{
    const struct workflow_change *c = put->c;
    struct db *db = put->tx->db;
    int version = put->outcome->version;
    struct db_value fresh[] = {
        [WORKFLOW_INSERT_SET_ID] = db_id(&c->workflow_id),
        [WORKFLOW_INSERT_SET_WORKSPACE_ID] = db_id(&c->workspace_id),
        [WORKFLOW_INSERT_SET_NAME] = span_value_or_empty(c->name),
        [WORKFLOW_INSERT_SET_DESCRIPTION] = span_value_or_empty(c->description),
        [WORKFLOW_INSERT_SET_CREATED_BY] = db_id(&c->principal_id),
        [WORKFLOW_INSERT_SET_CREATED_MS] = db_number(c->at_ms),
        [WORKFLOW_INSERT_SET_UPDATED_MS] = db_number(c->at_ms),
        [WORKFLOW_INSERT_SET_TOOL] = tool_value(c),
    };
    struct db_value newer[] = {span_value_or_empty(c->name),
                               span_value_or_empty(c->description),
                               db_number(version),
                               db_number(c->at_ms),
                               tool_value(c),
                               db_id(&c->workflow_id)};
    enum err e = c->is_new
                     ? db_run(db, put->tx->ctx, SQL_WORKFLOW_INSERT, fresh, WORKFLOW_INSERT_SET_COUNT, NULL)
                     : db_run(db, put->tx->ctx, SQL_WORKFLOW_UPDATE, newer, 6, NULL);
    struct db_value row[] = {
        [WORKFLOW_VERSION_INSERT_SET_WORKFLOW_ID] = db_id(&c->workflow_id),
        [WORKFLOW_VERSION_INSERT_SET_VERSION] = db_number(version),
        [WORKFLOW_VERSION_INSERT_SET_CREDITS] = db_number(c->compiled->credits_micro),
        [WORKFLOW_VERSION_INSERT_SET_PROGRAM] = span_value_or_empty(c->program),
        [WORKFLOW_VERSION_INSERT_SET_CREATED_BY] = db_id(&c->principal_id),
        [WORKFLOW_VERSION_INSERT_SET_CREATED_MS] = db_number(c->at_ms),
    };
    if (e == OK)
        e = db_run(db, put->tx->ctx, SQL_WORKFLOW_VERSION_INSERT, row, WORKFLOW_VERSION_INSERT_SET_COUNT,
                   NULL);
    return e == OK ? write_workflow_calls(put) : e;
}

/* Reads the row under the account's lock and chooses the next version. *committed_r: an earlier attempt of
 * this change was committed, but its COMMIT response was lost. */
static enum err find_current_row(struct workflow_write *put, bool *committed_r)
{
    const struct workflow_change *c = put->c;
    struct db_value args[] = {db_id(&c->workflow_id), db_id(&c->workspace_id)};
    struct db_rows *rows;
    enum err e = db_run(put->tx->db, put->tx->ctx, SQL_WORKFLOW_LOCK, args, 2, &rows);
    *committed_r = false;
    put->outcome->version = 1;
    if (e != OK)
        return e;
    if (rows->count == 0)
        return c->is_new ? OK : ERR_NOT_FOUND;
    int version = (int)db_int(rows, 0, WORKFLOW_LOCK_VERSION);
    id writer = db_get_id(rows, 0, WORKFLOW_LOCK_CREATED_BY);
    *committed_r = put->tx->settling && db_int(rows, 0, WORKFLOW_LOCK_CREATED_MS) == c->at_ms &&
                   id_equal(&writer, &c->principal_id);
    put->outcome->version = *committed_r ? version : version + 1;
    return OK;
}

/* Looks up the key under the account's lock. *free_r: the change is to be made. */
static enum err workflow_find_key(struct workflow_write *put, const struct idempotency_key *key, bool *free_r)
{
    *free_r = true;
    if (!key->key.at)
        return OK;
    enum err e = idempotency_find(put->tx, put->ctx, key, 1, &put->outcome->key);
    if (e != OK || put->outcome->key.state == IDEMPOTENCY_FREE)
        return e;
    *free_r = false;
    return OK;
}

static enum err record_workflow_put(const struct workflow_write *put)
{
    const struct workflow_change *c = put->c;
    void *ctx = put->tx->ctx;
    const struct deed_detail detail[] = {
        {"name", c->name.at ? talloc_strndup(ctx, c->name.at, c->name.size) : NULL},
        {"version", talloc_asprintf(ctx, "%d", put->outcome->version)},
        {0}};
    return deed_record(put->tx, "workflow.put", &c->workspace_id, c->workflow_id.text, detail);
}

/* Under the account's lock: no other exposed workflow may have the tool's name. */
static enum err check_tool(struct workflow_write *put)
{
    const struct workflow_change *c = put->c;
    id owner;
    if (!c->tool.at)
        return OK;
    const char *tool = talloc_strndup(put->tx->ctx, c->tool.at, c->tool.size);
    enum err e = workflow_find_tool(put->tx->db, put->tx->ctx, &c->workspace_id, tool, &owner);
    if (e == ERR_NOT_FOUND)
        return OK;
    put->outcome->tool_is_taken = e == OK && !id_equal(&owner, &c->workflow_id);
    return put->outcome->tool_is_taken ? ERR_CONFLICT : e;
}

static enum err workflow_put_work(struct db_tx *tx, void *arg)
{
    struct workflow_write *put = arg;
    const struct workflow_change *c = put->c;
    struct account *account;
    size_t accounts;
    bool committed, is_free;
    put->tx = tx;
    put->walk_is_stale = false;
    *put->outcome = (struct workflow_outcome){.key = {.state = IDEMPOTENCY_FREE}};
    enum err e = account_lock(tx, tx->ctx, &c->workspace_id, 1, &account, &accounts);
    if (e == OK && accounts == 0)
        e = ERR_NOT_FOUND;
    if (e == OK)
        e = find_current_row(put, &committed);
    if (e != OK)
        return e;
    if (committed)
        return OK;
    const struct idempotency_entry entry = {
        .key = {c->workspace_id, c->idempotency_key, c->fingerprint},
        .response = c->first_response,
    };
    e = workflow_find_key(put, &entry.key, &is_free);
    if (e != OK || !is_free)
        return e;
    e = check_calls(put, account);
    if (e == OK)
        e = check_tool(put);
    if (e == OK)
        e = quota_add_version(tx, &c->workspace_id, c->config, put->outcome->version, c->program.size,
                              &put->outcome->excess);
    if (e == OK && !c->is_new)
        e = account_bump_catalog_version(tx, &c->workspace_id);
    if (e == OK)
        e = write_workflow_version(put);
    if (e == OK && entry.key.key.at)
        e = idempotency_store(tx, &entry, 1);
    return e == OK ? record_workflow_put(put) : e;
}

enum err workflow_put(struct db *db, void *ctx, const struct workflow_change *change,
                      struct workflow_outcome *outcome_r)
{
    struct workflow_write put = {.c = change, .outcome = outcome_r, .ctx = ctx};
    for (int walks = 0; walks < WALKS_MAX; walks++) {
        enum err e = walk_calls(db, &put);
        if (e == OK)
            e = db_transaction(db, workflow_put_work, &put);
        if (e != ERR_CONFLICT || !put.walk_is_stale)
            return e;
    }
    return ERR_RETRY;
}

enum err workflow_set_price(struct db *db, const id *workspace, const id *workflow, int64_t micro)
{
    struct db_value args[] = {db_number_or_null(micro, micro >= 0), db_id(workspace), db_id(workflow)};
    char price[CREDITS_TEXT_SIZE];
    const struct deed_detail detail[] = {{"price_credits", micro >= 0 ? credits_text(micro, price) : NULL},
                                         {0}};
    return deed_run(db, &(struct deed_statement){SQL_WORKFLOW_SET_PRICE, args, 3, "workflow.price", workspace,
                                                 workflow->text, detail, account_bump_catalog_version});
}

static bool has_name(const struct db_rows *rows, const char *name)
{
    for (size_t r = 0; r < rows->count; r++) {
        if (strcmp(db_str(rows, r, WORKFLOW_SECRET_NAMES_NAME), name) == 0)
            return true;
    }
    return false;
}

void workflow_warnings(struct db *db, void *ctx, const id *workspace, const struct program *program,
                       const char ***list_r, size_t *n_r)
{
    size_t n = program->secrets_n;
    struct db_value head = db_id(workspace);
    struct db_value *each = talloc_array(ctx, struct db_value, n + 1);
    struct db_rows *rows;
    *list_r = talloc_array(ctx, const char *, n + 1);
    *n_r = 0;
    for (size_t i = 0; i < n; i++)
        each[i] = db_text(program->secrets[i]);
    enum err e = n ? db_run_each(db, ctx, SQL_WORKFLOW_SECRET_NAMES, &head, 1, each, 1, n, &rows) : OK;
    if (e != OK)
        log_warn("workflow.warnings_failed", "workspace=%s error=%s", workspace->text, err_name(e));
    for (size_t i = 0; e == OK && i < n; i++) {
        if (!has_name(rows, program->secrets[i]))
            (*list_r)[(*n_r)++] = talloc_asprintf(ctx,
                                                  "The secret %s does not exist in this workspace. The "
                                                  "operator sets it with: millrace secret set %s",
                                                  program->secrets[i], program->secrets[i]);
    }
}
