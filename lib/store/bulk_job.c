#include "store/bulk_job.h"

#include <string.h>
#include <talloc.h>

#include "account/account.h"
#include "base/clock.h"
#include "deed/deed.h"
#include "json/json.h"

static const id lowest = {"00000000-0000-0000-0000-000000000000"};
static const id highest = {"ffffffff-ffff-ffff-ffff-ffffffffffff"};

/* --- the filter as text --- */

static void add_id(json_object *o, const char *name, const id *i)
{
    if (id_is_set(i))
        json_object_object_add(o, name, json_object_new_string(i->text));
}

static const char *selection_text(void *ctx, const struct execution_filter *f)
{
    json_object *o = json_own(ctx, json_object_new_object());
    json_object *states = json_object_new_array(), *responders = json_object_new_array();
    for (size_t i = 0; i < f->states_n; i++)
        json_object_array_add(states, json_object_new_int(f->states[i]));
    for (size_t i = 0; i < f->responders_n; i++)
        json_object_array_add(responders, json_object_new_string(f->responders[i].text));
    json_object_object_add(o, "states", states);
    json_object_object_add(o, "responders", responders);
    if (f->tag)
        json_object_object_add(o, "tag", json_object_new_string(f->tag));
    if (f->error)
        json_object_object_add(o, "error", json_object_new_string(f->error));
    if (f->has_error_hash)
        json_object_object_add(o, "error_hash", json_object_new_int64(f->error_hash));
    add_id(o, "parent", &f->parent);
    add_id(o, "batch", &f->batch);
    add_id(o, "above", &f->above);
    return json_text(o, NULL);
}

static id id_member(json_object *o, const char *name)
{
    id found = {{0}};
    const char *text = json_get_text(o, name);
    if (text)
        id_parse(text, strlen(text), &found);
    return found;
}

static size_t array_size(json_object *list)
{
    return json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
}

/* Whether a selection says more than this program reads: without that it would take more runs. */
static bool has_later_member(json_object *selection)
{
    static const char *const members[] = {"states",     "responders", "tag",   "error",
                                          "error_hash", "parent",     "batch", "above"};
    json_object_object_foreach(selection, name, value)
    {
        bool is_known = false;
        (void)value;
        for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
            is_known = is_known || strcmp(members[i], name) == 0;
        if (!is_known)
            return true;
    }
    return false;
}

/* What selection_text wrote. *is_later_r: a later version has written more, or something else. */
static struct execution_filter read_selection(void *ctx, const char *text, bool *is_later_r)
{
    json_object *o = NULL, *hash = NULL;
    const char *why;
    struct execution_filter f = {0};
    *is_later_r = json_parse_tolerant(ctx, text, strlen(text), JSON_DEPTH_MAX, &o, &why) != OK ||
                  !json_object_is_type(o, json_type_object) || has_later_member(o);
    if (*is_later_r)
        return f;
    json_object *states = json_get(o, "states"), *responders = json_get(o, "responders");
    for (size_t i = 0; i < array_size(states) && i < EXECUTION_STATES_MAX; i++)
        f.states[f.states_n++] = (enum run_state)json_object_get_int(json_object_array_get_idx(states, i));
    id *ids = talloc_zero_array(ctx, id, array_size(responders) + 1);
    for (size_t i = 0; i < array_size(responders); i++) {
        const char *responder = json_object_get_string(json_object_array_get_idx(responders, i));
        f.responders_n += id_parse(responder, strlen(responder), &ids[f.responders_n]);
    }
    f.responders = ids;
    f.tag = json_get_text(o, "tag");
    f.error = json_get_text(o, "error");
    f.has_error_hash = json_object_object_get_ex(o, "error_hash", &hash);
    f.error_hash = json_object_get_int64(hash);
    f.parent = id_member(o, "parent");
    f.batch = id_member(o, "batch");
    f.above = id_member(o, "above");
    return f;
}

/* --- reading --- */

static struct bulk_job job_from_row(void *ctx, const struct db_rows *rows, size_t r)
{
    bool is_later;
    struct bulk_job job = {
        .id = db_get_id(rows, r, BULK_JOB_GET_ID),
        .workspace_id = db_get_id(rows, r, BULK_JOB_GET_WORKSPACE_ID),
        .principal_id = db_get_id(rows, r, BULK_JOB_GET_PRINCIPAL_ID),
        .key_id = db_get_id(rows, r, BULK_JOB_GET_KEY_ID),
        .action = (enum bulk_action)db_int(rows, r, BULK_JOB_GET_ACTION),
        .state = (enum bulk_state)db_int(rows, r, BULK_JOB_GET_STATE),
        .reason = (enum bulk_reason)db_int(rows, r, BULK_JOB_GET_REASON),
        .kinds = (unsigned)db_int(rows, r, BULK_JOB_GET_KINDS),
        .filter = db_str(rows, r, BULK_JOB_GET_FILTER),
        .selection = read_selection(ctx, db_str(rows, r, BULK_JOB_GET_SELECTION), &is_later),
        .from = db_str(rows, r, BULK_JOB_GET_FROM_STEP),
        .is_current = db_int(rows, r, BULK_JOB_GET_IS_CURRENT) != 0,
        .matched = db_int(rows, r, BULK_JOB_GET_MATCHED),
        .is_collected = db_int(rows, r, BULK_JOB_GET_IS_COLLECTED) != 0,
        .is_truncated = db_int(rows, r, BULK_JOB_GET_IS_TRUNCATED) != 0,
        .due_ms = db_int(rows, r, BULK_JOB_GET_DUE_MS),
        .created_ms = db_int(rows, r, BULK_JOB_GET_CREATED_MS),
        .updated_ms = db_int(rows, r, BULK_JOB_GET_UPDATED_MS),
        .ended_ms = db_int(rows, r, BULK_JOB_GET_ENDED_MS),
        .now_ms = db_int(rows, r, BULK_JOB_GET_NOW_MS),
        .has_valid_key = db_int(rows, r, BULK_JOB_GET_VALID_KEYS) > 0,
    };
    job.selection.below = db_get_id(rows, r, BULK_JOB_GET_BELOW_ID);
    job.is_of_later_version = is_later || !bulk_action_name(job.action) || !bulk_state_name(job.state);
    return job;
}

static void take_count(struct bulk_job *list, size_t n, const struct db_rows *rows, size_t r)
{
    id of = db_get_id(rows, r, BULK_COUNT_LIST_JOB_ID);
    int64_t outcome = db_int(rows, r, BULK_COUNT_LIST_OUTCOME),
            reason = db_int(rows, r, BULK_COUNT_LIST_REASON);
    for (size_t i = 0; i < n && outcome < BULK_OUTCOMES && reason < BULK_REASONS; i++) {
        if (id_equal(&list[i].id, &of))
            list[i].counts[outcome][reason] = db_int(rows, r, BULK_COUNT_LIST_N);
    }
}

static enum err read_counts(struct db *db, void *ctx, struct bulk_job *list, size_t n)
{
    struct db_value *ids = talloc_array(ctx, struct db_value, n + 1);
    struct db_rows *rows;
    for (size_t i = 0; i < n; i++)
        ids[i] = db_id(&list[i].id);
    enum err e = db_run_each(db, ctx, SQL_BULK_COUNT_LIST, NULL, 0, ids, 1, n, &rows);
    for (size_t r = 0; e == OK && r < rows->count; r++)
        take_count(list, n, rows, r);
    return e;
}

int64_t bulk_job_count(const struct bulk_job *job, enum bulk_outcome outcome)
{
    int64_t n = 0, decided = 0;
    for (int o = BULK_DONE; o < BULK_OUTCOMES; o++) {
        for (int reason = 0; reason < BULK_REASONS; reason++) {
            decided += job->counts[o][reason];
            n += o == (int)outcome ? job->counts[o][reason] : 0;
        }
    }
    /* the counts are read after the job, so that more may be decided by then than it had collected */
    if (outcome == BULK_PENDING)
        return job->matched > decided ? job->matched - decided : 0;
    return n;
}

enum err bulk_job_get(struct db *db, void *ctx, const id *workspace, const id *job, struct bulk_job *job_r)
{
    struct db_value args[] = {db_id(job), db_id(workspace)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_BULK_JOB_GET, args, 2, &rows);
    if (e == OK && rows->count == 0)
        return ERR_NOT_FOUND;
    if (e != OK)
        return e;
    *job_r = job_from_row(ctx, rows, 0);
    return read_counts(db, ctx, job_r, 1);
}

enum err bulk_job_list(struct db *db, void *ctx, const id *workspace, const id *after, int64_t limit,
                       struct bulk_job **list_r, size_t *count_r)
{
    struct db_value args[] = {db_id(workspace), db_id(id_is_set(after) ? after : &highest), db_number(limit)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_BULK_JOB_LIST, args, 3, &rows);
    *count_r = e == OK ? rows->count : 0;
    *list_r = talloc_array(ctx, struct bulk_job, *count_r + 1);
    for (size_t r = 0; r < *count_r; r++)
        (*list_r)[r] = job_from_row(ctx, rows, r);
    return e == OK ? read_counts(db, ctx, *list_r, *count_r) : e;
}

enum err bulk_item_list(struct db *db, void *ctx, const struct bulk_item_page *page,
                        struct bulk_item **list_r, size_t *count_r)
{
    struct db_value after = db_id(id_is_set(&page->after) ? &page->after : &lowest);
    struct db_value any[] = {db_id(page->job), after, db_number(page->limit)};
    struct db_value one[] = {any[0], db_number(page->outcome), any[1], any[2]};
    struct db_rows *rows;
    enum err e = page->is_filtered ? db_run(db, ctx, SQL_BULK_ITEM_LIST_OUTCOME, one, 4, &rows)
                                   : db_run(db, ctx, SQL_BULK_ITEM_LIST, any, 3, &rows);
    *count_r = e == OK ? rows->count : 0;
    *list_r = talloc_array(ctx, struct bulk_item, *count_r + 1);
    for (size_t r = 0; r < *count_r; r++) {
        (*list_r)[r] = (struct bulk_item){
            .execution_id = db_get_id(rows, r, BULK_ITEM_LIST_EXECUTION_ID),
            .outcome = (enum bulk_outcome)db_int(rows, r, BULK_ITEM_LIST_OUTCOME),
            .reason = (enum bulk_reason)db_int(rows, r, BULK_ITEM_LIST_REASON),
            .result_id = db_get_id(rows, r, BULK_ITEM_LIST_RESULT_ID),
            .decided_ms = db_int(rows, r, BULK_ITEM_LIST_DECIDED_MS),
        };
    }
    return e;
}

enum err bulk_job_preview(struct db *db, void *ctx, const id *workspace,
                          const struct execution_filter *filter, struct bulk_preview *preview_r)
{
    struct execution_filter f = *filter;
    struct execution_window window = {0};
    enum err e = OK;
    *preview_r = (struct bulk_preview){0};
    for (int i = 0; e == OK && i < BULK_PREVIEW_WINDOWS && !window.is_last; i++) {
        void *part = talloc_new(ctx);
        e = execution_list_window(db, part, workspace, &f, &window);
        for (size_t k = 0; e == OK && k < window.n && preview_r->sample_n < BULK_SAMPLE_MAX; k++)
            preview_r->sample[preview_r->sample_n++] = window.ids[k];
        preview_r->matched += e == OK ? (int64_t)window.n : 0;
        f.below = window.below;
        talloc_free(part);
        if (preview_r->matched > BULK_PREVIEW_MAX)
            break;
    }
    preview_r->is_more = !window.is_last || preview_r->matched > BULK_PREVIEW_MAX;
    if (preview_r->matched > BULK_PREVIEW_MAX)
        preview_r->matched = BULK_PREVIEW_MAX;
    return e;
}

/* --- creating --- */

struct creation {
    const struct bulk_job_new *c;
    struct bulk_job_outcome *outcome;
    void *ctx;
};

/* The id that follows: its bound is exclusive. */
static id id_after(id i)
{
    for (size_t k = ID_LENGTH; k-- > 0;) {
        if (i.text[k] == '-')
            continue;
        if (i.text[k] != 'f') {
            i.text[k] = i.text[k] == '9' ? 'a' : (char)(i.text[k] + 1);
            break;
        }
        i.text[k] = '0';
    }
    return i;
}

/* Below it lie the runs of the workspace that were accepted until now, and that the filter's times take. */
static enum err find_bound(struct db_tx *tx, const struct bulk_job *job, id *below_r)
{
    struct execution_filter all = {.limit = 1};
    id *ids;
    size_t n;
    enum err e = execution_list_ids(tx->db, tx->ctx, &job->workspace_id, &all, &ids, &n);
    *below_r = e == OK && n > 0 ? id_after(ids[0]) : lowest;
    if (id_is_set(&job->selection.below) && id_compare(&job->selection.below, below_r) < 0)
        *below_r = job->selection.below;
    return e;
}

static enum err insert_job(struct db_tx *tx, const struct bulk_job *job)
{
    id below;
    enum err e = find_bound(tx, job, &below);
    struct db_value v[] = {
        [BULK_JOB_INSERT_SET_ID] = db_id(&job->id),
        [BULK_JOB_INSERT_SET_WORKSPACE_ID] = db_id(&job->workspace_id),
        [BULK_JOB_INSERT_SET_PRINCIPAL_ID] = db_id(&job->principal_id),
        [BULK_JOB_INSERT_SET_KEY_ID] = db_id(&job->key_id),
        [BULK_JOB_INSERT_SET_ACTION] = db_number(job->action),
        [BULK_JOB_INSERT_SET_STATE] = db_number(BULK_COLLECTING),
        [BULK_JOB_INSERT_SET_KINDS] = db_number(job->kinds),
        [BULK_JOB_INSERT_SET_FILTER] = db_text(job->filter),
        [BULK_JOB_INSERT_SET_SELECTION] = db_text(selection_text(tx->ctx, &job->selection)),
        [BULK_JOB_INSERT_SET_FROM_STEP] = db_text(job->from),
        [BULK_JOB_INSERT_SET_IS_CURRENT] = db_number(job->is_current),
        [BULK_JOB_INSERT_SET_BELOW_ID] = db_id(&below),
        [BULK_JOB_INSERT_SET_CREATED_MS] = db_number(job->created_ms),
        [BULK_JOB_INSERT_SET_UPDATED_MS] = db_number(job->created_ms),
    };
    return e == OK ? db_run(tx->db, tx->ctx, SQL_BULK_JOB_INSERT, v, BULK_JOB_INSERT_SET_COUNT, NULL) : e;
}

/* Whether an earlier attempt of this transaction, whose COMMIT response was lost, has made the job. */
static enum err find_created(struct db_tx *tx, const struct bulk_job *job, bool *found_r)
{
    struct bulk_job stored;
    enum err e =
        tx->settling ? bulk_job_get(tx->db, tx->ctx, &job->workspace_id, &job->id, &stored) : ERR_NOT_FOUND;
    *found_r = e == OK;
    return e == ERR_NOT_FOUND ? OK : e;
}

static enum err create_work(struct db_tx *tx, void *arg)
{
    struct creation *creation = arg;
    const struct bulk_job_new *c = creation->c;
    const struct idempotency_entry entry = {
        .key = {c->job.workspace_id, c->idempotency_key, c->fingerprint},
        .response = c->first_response,
    };
    struct account *account;
    size_t accounts;
    bool found = false;
    *creation->outcome = (struct bulk_job_outcome){.key = {.state = IDEMPOTENCY_FREE}};
    enum err e = account_lock(tx, tx->ctx, &c->job.workspace_id, 1, &account, &accounts);
    if (e == OK && accounts == 0)
        e = ERR_NOT_FOUND;
    if (e == OK)
        e = find_created(tx, &c->job, &found);
    if (e == OK && !found && entry.key.key.at)
        e = idempotency_find(tx, creation->ctx, &entry.key, 1, &creation->outcome->key);
    if (e == OK && (found || creation->outcome->key.state != IDEMPOTENCY_FREE))
        return OK;
    if (e == OK)
        e = quota_check_bulk_jobs(tx, &c->job.workspace_id, c->config, &creation->outcome->excess);
    if (e == OK)
        e = insert_job(tx, &c->job);
    if (e == OK && entry.key.key.at)
        e = idempotency_store(tx, &entry, 1);
    const struct deed_detail detail[] = {{"action", bulk_action_name(c->job.action)}, {0}};
    return e == OK ? deed_record(tx, "bulk_job.create", &c->job.workspace_id, c->job.id.text, detail) : e;
}

enum err bulk_job_create(struct db *db, void *ctx, const struct bulk_job_new *c,
                         struct bulk_job_outcome *outcome_r)
{
    struct creation creation = {c, outcome_r, ctx};
    return db_transaction(db, create_work, &creation);
}

/* --- changing --- */

/* A statement that matches no row leaves a job as it is: it does not exist, or its state forbids the change.
 */
static enum err change_job(struct db *db, void *ctx, const id *workspace, const id *job,
                           const struct deed_statement *s)
{
    struct bulk_job stored;
    enum err e = deed_run(db, s);
    if (e != ERR_NOT_FOUND)
        return e;
    e = bulk_job_get(db, ctx, workspace, job, &stored);
    return e == OK ? ERR_CONFLICT : e;
}

enum err bulk_job_cancel(struct db *db, void *ctx, const id *workspace, const id *job)
{
    struct db_value args[] = {db_id(job), db_id(workspace)};
    const struct deed_statement s = {SQL_BULK_JOB_CANCEL, args,      2,   "bulk_job.cancel",
                                     workspace,           job->text, NULL};
    return change_job(db, ctx, workspace, job, &s);
}

enum err bulk_job_resume(struct db *db, void *ctx, const id *workspace, const id *job,
                         const struct bulk_caller *caller)
{
    struct db_value args[] = {db_id(&caller->principal_id), db_id(&caller->key_id), db_number(caller->kinds),
                              db_id(job), db_id(workspace)};
    const struct deed_statement s = {SQL_BULK_JOB_RESUME, args,      5,   "bulk_job.resume",
                                     workspace,           job->text, NULL};
    return change_job(db, ctx, workspace, job, &s);
}

/* --- for the executors --- */

enum err bulk_job_next(struct db *db, void *ctx, const id *after, struct bulk_job *job_r)
{
    struct db_value arg = db_id(id_is_set(after) ? after : &lowest);
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_BULK_JOB_NEXT, &arg, 1, &rows);
    if (e == OK && rows->count == 0)
        return ERR_NOT_FOUND;
    if (e == OK)
        *job_r = job_from_row(ctx, rows, 0);
    return e;
}

/* Items that one transaction writes down. */
struct collecting {
    /* As the last transaction left it. */
    struct bulk_job *job;
    const id *ids;
    size_t n;
    /* The next id to collect; nothing is left there; more match than the job takes. */
    id below;
    bool is_last, is_truncated;
};

static enum err insert_items(struct db_tx *tx, const id *job, const id *ids, size_t n)
{
    struct db_value v[BULK_COLLECT_MAX * BULK_ITEM_INSERT_SET_COUNT];
    for (size_t i = 0; i < n; i++) {
        v[BULK_ITEM_INSERT_SET_COUNT * i + BULK_ITEM_INSERT_SET_JOB_ID] = db_id(job);
        v[BULK_ITEM_INSERT_SET_COUNT * i + BULK_ITEM_INSERT_SET_EXECUTION_ID] = db_id(&ids[i]);
    }
    return db_run_each(tx->db, tx->ctx, SQL_BULK_ITEM_INSERT, NULL, 0, v, BULK_ITEM_INSERT_SET_COUNT, n,
                       NULL);
}

/* True: the job is as it was read. */
static enum err lock_job(struct db_tx *tx, const struct bulk_job *job)
{
    struct db_value arg = db_id(&job->id);
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_BULK_JOB_LOCK, &arg, 1, &rows);
    if (e != OK)
        return e;
    bool same = rows->count == 1 && db_int(rows, 0, BULK_JOB_LOCK_STATE) == BULK_COLLECTING &&
                db_int(rows, 0, BULK_JOB_LOCK_MATCHED) == job->matched &&
                strcmp(db_str(rows, 0, BULK_JOB_LOCK_BELOW_ID), job->selection.below.text) == 0;
    return same ? OK : ERR_CONFLICT;
}

static enum err collect_work(struct db_tx *tx, void *arg)
{
    const struct collecting *c = arg;
    const struct bulk_job *job = c->job;
    bool is_over = c->is_last || c->is_truncated;
    struct db_value args[] = {
        db_id(&c->below),
        db_number(job->matched + (int64_t)c->n),
        db_number(is_over),
        db_number(c->is_truncated),
        db_number(is_over ? BULK_RUNNING : BULK_COLLECTING),
        db_id(&job->id),
    };
    enum err e = lock_job(tx, job);
    if (e == OK)
        e = insert_items(tx, &job->id, c->ids, c->n);
    return e == OK ? db_run(tx->db, tx->ctx, SQL_BULK_JOB_COLLECT, args, sizeof args / sizeof *args, NULL)
                   : e;
}

/* The next part of the window, *n_r ids of which are written. *is_over_r: all of it, or the job has enough.
 */
static enum err collect_part(struct db *db, struct bulk_job *job, const struct execution_window *w,
                             int64_t items_max, size_t *n_r, bool *is_over_r)
{
    const size_t left = w->n - *n_r, n = left < BULK_COLLECT_MAX ? left : BULK_COLLECT_MAX;
    /* the setting may have been lowered since the job began */
    const int64_t room = items_max > job->matched ? items_max - job->matched : 0;
    struct collecting c = {.job = job, .ids = w->ids + *n_r, .n = n, .is_truncated = (int64_t)n > room};
    if (c.is_truncated)
        c.n = (size_t)room;
    bool is_end = n == left;
    c.below = is_end ? w->below : c.ids[n - 1];
    c.is_last = is_end && w->is_last;
    enum err e = db_transaction(db, collect_work, &c);
    if (e != OK)
        return e;
    job->matched += (int64_t)c.n;
    job->selection.below = c.below;
    *n_r += c.n;
    *is_over_r = is_end || c.is_truncated;
    return OK;
}

enum err bulk_job_collect(struct db *db, const struct bulk_job *job, int64_t items_max, size_t *n_r)
{
    void *ctx = talloc_new(NULL);
    struct bulk_job now = *job;
    struct execution_window window;
    *n_r = 0;
    /* read before the job is locked: who changes the job waits for no list */
    enum err e = execution_list_window(db, ctx, &job->workspace_id, &job->selection, &window);
    for (bool is_over = false; e == OK && !is_over;)
        e = collect_part(db, &now, &window, items_max, n_r, &is_over);
    talloc_free(ctx);
    return e;
}

enum err bulk_job_pending(struct db *db, void *ctx, const id *job, int64_t limit, id **ids_r, size_t *count_r)
{
    struct db_value args[] = {db_id(job), db_number(limit)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_BULK_ITEM_PENDING, args, 2, &rows);
    *count_r = e == OK ? rows->count : 0;
    *ids_r = talloc_array(ctx, id, *count_r + 1);
    for (size_t r = 0; r < *count_r; r++)
        (*ids_r)[r] = db_get_id(rows, r, BULK_ITEM_PENDING_EXECUTION_ID);
    return e;
}

struct deciding {
    const id *job;
    const struct bulk_decision *list;
    size_t n;
};

static enum err decide_work(struct db_tx *tx, void *arg)
{
    const struct deciding *d = arg;
    struct db_value job = db_id(d->job);
    struct db_rows *rows;
    /* the acceptance of a retry holds this lock from its look at the item until it has written it */
    enum err e = db_run(tx->db, tx->ctx, SQL_BULK_JOB_LOCK, &job, 1, &rows);
    return e == OK ? bulk_items_decide(tx, d->job, d->list, d->n) : e;
}

enum err bulk_job_decide(struct db *db, const id *job, const struct bulk_decision *list, size_t n)
{
    struct deciding d = {job, list, n};
    return n > 0 ? db_transaction(db, decide_work, &d) : OK;
}

static enum err run_statement(struct db *db, enum sql_id query, const struct db_value *args, size_t n)
{
    void *ctx = talloc_new(NULL);
    enum err e = db_run(db, ctx, query, args, n, NULL);
    talloc_free(ctx);
    return e;
}

enum err bulk_job_complete(struct db *db, const id *job)
{
    struct db_value arg = db_id(job);
    return run_statement(db, SQL_BULK_JOB_COMPLETE, &arg, 1);
}

enum err bulk_job_pause(struct db *db, const id *job, enum bulk_reason reason)
{
    struct db_value args[] = {db_number(reason), db_id(job)};
    return run_statement(db, SQL_BULK_JOB_PAUSE, args, 2);
}

enum err bulk_job_delay(struct db *db, const id *job, enum bulk_reason reason, int64_t ms)
{
    struct db_value args[] = {db_number(reason), db_number(ms), db_id(job)};
    return run_statement(db, SQL_BULK_JOB_DELAY, args, 3);
}
