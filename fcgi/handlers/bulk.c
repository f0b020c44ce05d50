/* POST /executions/bulk; GET /bulk-jobs, /bulk-jobs/{id} and its items; cancel, resume (docs/bulk-jobs.md) */
#include <string.h>
#include <talloc.h>

#include "base/scopes.h"
#include "fcgi/forms/execution_filter.h"
#include "fcgi/forms/form.h"
#include "fcgi/forms/page.h"
#include "fcgi/forms/quota_reply.h"
#include "fcgi/forms/start_run.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/handlers/retry_from.h"
#include "fcgi/http/app.h"
#include "fcgi/http/auth.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "fcgi/http/request_body.h"
#include "view/bulk_job.h"

enum { PAGE_MAX = 1000, PAGE_DEFAULT = 100, FILTER_MAX = 16384 /* bytes as sent */ };

/* --- what a key may do --- */

/* The kinds of responders on whose runs the key may act, as bits. False: the reply is 403. */
static bool require_action(struct request *r, enum bulk_action action, unsigned *kinds_r)
{
    const unsigned workflows = 1U << KIND_WORKFLOW, skills = 1U << KIND_SKILL;
    *kinds_r = workflows | skills;
    if (action == BULK_PURGE)
        return auth_require_scope(r, SCOPE_EXECUTIONS_PURGE);
    if (!(r->access.scopes & SCOPE_WORKFLOWS_EXECUTE))
        *kinds_r &= ~workflows;
    if (!(r->access.scopes & SCOPE_SKILLS_EXECUTE))
        *kinds_r &= ~skills;
    return auth_require_scope(r, SCOPE_WORKFLOWS_EXECUTE | SCOPE_SKILLS_EXECUTE);
}

/* A job acts on the kinds that its caller may act on. Who cancels it, or lets it go on with another key,
 * needs the scopes of all of them: a key that lacks one would leave out what the job was asked for. */
static bool require_job(struct request *r, const struct bulk_job *job)
{
    if (job->action == BULK_PURGE)
        return auth_require_scope(r, SCOPE_EXECUTIONS_PURGE);
    return (!(job->kinds & 1U << KIND_WORKFLOW) || auth_require_scope(r, SCOPE_WORKFLOWS_EXECUTE)) &&
           (!(job->kinds & 1U << KIND_SKILL) || auth_require_scope(r, SCOPE_SKILLS_EXECUTE));
}

/* --- the form --- */

static bool read_action(struct request *r, json_object *body, struct bulk_job *job)
{
    const char *word = json_get_text(body, "action");
    if (!word || !bulk_action_from_name(word, &job->action))
        return form_reject_value(r, "action", "\"stop\", \"retry\" or \"purge\"");
    return true;
}

static bool takes_state(enum bulk_action action, enum run_state state)
{
    return state_is_terminal(state) != (action == BULK_STOP);
}

static void default_states(struct bulk_job *job)
{
    static const enum run_state open[] = {STATE_QUEUED, STATE_RUNNING}, failed[] = {STATE_FAILED},
                                ended[] = {STATE_SUCCEEDED, STATE_FAILED, STATE_STOPPED};
    const enum run_state *from = job->action == BULK_STOP ? open : job->action == BULK_RETRY ? failed : ended;
    struct execution_filter *f = &job->selection;
    f->states_n = job->action == BULK_STOP ? 2 : job->action == BULK_RETRY ? 1 : EXECUTION_STATES_MAX;
    memcpy(f->states, from, f->states_n * sizeof *f->states);
}

static bool read_filter(struct request *r, json_object *body, struct bulk_job *job)
{
    json_object *filter = json_get(body, "filter");
    bool is_empty;
    if (form_raw_member(r, body, "filter").size > FILTER_MAX)
        return form_reject_value(r, "filter", "at most 16,384 bytes");
    if (!json_object_is_type(filter, json_type_object))
        return form_reject_value(r, "filter", "an object; {} takes all executions");
    if (!execution_filter_read_json(r, filter, &job->selection, &is_empty))
        return false;
    if (is_empty)
        return request_reject(r, 400, "invalid_request",
                              "The members of filter contradict each other: no execution can match.");
    for (size_t i = 0; i < job->selection.states_n; i++) {
        if (!takes_state(job->action, job->selection.states[i]))
            return request_reject(r, 400, "invalid_request", "%s does not apply to executions that are %s.",
                                  bulk_action_name(job->action), state_name(job->selection.states[i]));
    }
    if (job->selection.error || job->selection.has_error_hash) {
        if (job->action == BULK_STOP)
            return request_reject(
                r, 400, "invalid_request",
                "error and error_hash match executions that have failed; these cannot be stopped.");
        job->selection.states[job->selection.states_n++] = STATE_FAILED;
    }
    if (job->selection.states_n == 0)
        default_states(job);
    /* without the blanks of the request: it is kept and listed */
    job->filter = talloc_strdup(r, json_text(filter, NULL));
    return true;
}

/* `from` and `version` are those of a single retry. */
static bool read_retry(struct request *r, json_object *body, struct bulk_job *job)
{
    struct retry_form form;
    if (job->action != BULK_RETRY) {
        if (json_get(body, "from") || json_get(body, "version"))
            return request_reject(r, 400, "invalid_request", "from and version are for the action retry.");
        return true;
    }
    if (!retry_form_read_members(r, body, &form))
        return false;
    job->from = form.from;
    job->is_current = form.current;
    return true;
}

static bool read_dry_run(struct request *r, json_object *body, bool *dry_run_r)
{
    json_object *value = json_get(body, "dry_run");
    if (value && !json_object_is_type(value, json_type_boolean))
        return form_reject_value(r, "dry_run", "true or false");
    *dry_run_r = value && json_object_get_boolean(value);
    return true;
}

static bool read_bulk_form(struct request *r, struct bulk_job *job, bool *dry_run_r)
{
    json_object *body;
    if (!request_json(r, &body))
        return false;
    if (!body)
        return form_reject_value(r, "action", "\"stop\", \"retry\" or \"purge\"");
    return form_members_are_known(r, body, "action filter dry_run from version") &&
           read_action(r, body, job) && require_action(r, job->action, &job->kinds) &&
           read_dry_run(r, body, dry_run_r) && read_retry(r, body, job) && read_filter(r, body, job);
}

/* --- replies --- */

static struct span job_body(struct request *r, const struct bulk_job *job)
{
    struct json_write *w = json_write_new(r);
    struct span body;
    view_bulk_job(w, job);
    body.at = json_write_result(w, &body.size);
    return body;
}

static int reply_job(struct request *r, int status, const struct bulk_job *job)
{
    struct span body = job_body(r, job);
    return reply_json(r, status, body.at, body.size);
}

static int preview_job(struct request *r, const struct bulk_job *job)
{
    struct bulk_preview preview;
    enum err e = bulk_job_preview(r->app->db, r, &job->workspace_id, &job->selection, &preview);
    if (e != OK)
        return reply_err(r, e);
    struct json_write *w = json_write_new(r);
    view_bulk_preview(w, job->action, &preview);
    return reply_written(r, 200, w);
}

static int create_job(struct request *r, struct bulk_job_new *c)
{
    struct bulk_job_outcome o;
    c->first_response.body = job_body(r, &c->job);
    enum err e = bulk_job_create(r->app->db, r, c, &o);
    if (e == ERR_LIMIT)
        return quota_reply(r, &o.excess);
    if (e != OK)
        return reply_err(r, e);
    if (o.key.state == IDEMPOTENCY_REPLAY)
        return reply_stored_response(r, &o.key.execution_id, &o.key.response);
    if (o.key.state == IDEMPOTENCY_REUSED)
        return reply_key_reused(r);
    return reply_json(r, c->first_response.status, c->first_response.body.at, c->first_response.body.size);
}

int h_bulk_create(struct request *r)
{
    struct bulk_job_new c = {.first_response.status = 202, .config = r->app->config};
    bool dry_run = false;
    c.job = (struct bulk_job){
        .id = id_new(),
        .workspace_id = r->access.workspace_id,
        .principal_id = r->access.principal_id,
        .key_id = r->access.key_id,
        .state = BULK_COLLECTING,
    };
    c.job.created_ms = c.job.updated_ms = id_ms(&c.job.id);
    if (!request_idempotency(r, &c.idempotency_key, c.fingerprint))
        return reply_rejected(r);
    if (!read_bulk_form(r, &c.job, &dry_run))
        return reject_or_replay(r, c.idempotency_key, c.fingerprint);
    return dry_run ? preview_job(r, &c.job) : create_job(r, &c);
}

int h_bulk_list(struct request *r)
{
    id after;
    int64_t limit;
    struct bulk_job *list;
    size_t n;
    if (!request_query_cursor(r, "after", "a bulk job", &after) ||
        !request_query_int(r, "limit", 1, PAGE_MAX, PAGE_DEFAULT, &limit))
        return reply_rejected(r);
    enum err e = bulk_job_list(r->app->db, r, &r->access.workspace_id, &after, limit + 1, &list, &n);
    if (e != OK)
        return reply_err(r, e);
    struct page page = page_begin(r, "bulk_jobs", n, limit);
    for (size_t i = 0; i < page.count; i++)
        view_bulk_job(page.w, &list[i]);
    return page_reply(r, &page, page.has_more ? list[page.count - 1].id.text : NULL);
}

/* False: the reply is set. */
static bool job_of_path(struct request *r, struct bulk_job *job_r)
{
    id job;
    if (!request_path_id(r, 0, &job))
        return false;
    enum err e = bulk_job_get(r->app->db, r, &r->access.workspace_id, &job, job_r);
    if (e != OK)
        reply_err(r, e);
    return e == OK;
}

int h_bulk_get(struct request *r)
{
    struct bulk_job job;
    return job_of_path(r, &job) ? reply_job(r, 200, &job) : reply_rejected(r);
}

static bool read_outcome(struct request *r, struct bulk_item_page *page)
{
    const char *word = request_query(r, "outcome");
    page->is_filtered = word != NULL;
    if (word && !bulk_outcome_from_name(word, &page->outcome))
        return form_reject_value(r, "outcome", "pending, done, skipped or failed");
    return true;
}

int h_bulk_items(struct request *r)
{
    struct bulk_job job;
    struct bulk_item_page wanted = {.job = &job.id};
    struct bulk_item *list;
    int64_t limit;
    size_t n;
    if (!request_query_cursor(r, "after", "an execution", &wanted.after) ||
        !request_query_int(r, "limit", 1, PAGE_MAX, PAGE_DEFAULT, &limit) || !read_outcome(r, &wanted) ||
        !job_of_path(r, &job))
        return reply_rejected(r);
    wanted.limit = limit + 1;
    enum err e = bulk_item_list(r->app->db, r, &wanted, &list, &n);
    if (e != OK)
        return reply_err(r, e);
    struct page page = page_begin(r, "items", n, limit);
    for (size_t i = 0; i < page.count; i++)
        view_bulk_item(page.w, &list[i]);
    return page_reply(r, &page, page.has_more ? list[page.count - 1].execution_id.text : NULL);
}

/* Replies with the job as it is after a change. */
static int reply_changed(struct request *r, const id *job, enum err e)
{
    struct bulk_job now;
    if (e == OK)
        e = bulk_job_get(r->app->db, r, &r->access.workspace_id, job, &now);
    return e == OK ? reply_job(r, 200, &now) : reply_err(r, e);
}

int h_bulk_cancel(struct request *r)
{
    struct bulk_job job;
    if (!job_of_path(r, &job) || !require_job(r, &job))
        return reply_rejected(r);
    enum err e = bulk_job_cancel(r->app->db, r, &job.workspace_id, &job.id);
    if (e == ERR_CONFLICT)
        return reply_problem(r, 409, "bulk_job_ended", "The bulk job has ended.");
    return reply_changed(r, &job.id, e);
}

/* The caller's key takes the place of the job's; the job acts on the same kinds as before. */
int h_bulk_resume(struct request *r)
{
    struct bulk_job job;
    if (!job_of_path(r, &job) || !require_job(r, &job))
        return reply_rejected(r);
    const struct bulk_caller caller = {r->access.principal_id, r->access.key_id, job.kinds};
    enum err e = bulk_job_resume(r->app->db, r, &job.workspace_id, &job.id, &caller);
    if (e == ERR_CONFLICT)
        return reply_problem(r, 409, "bulk_job_not_paused", "The bulk job is not paused.");
    return reply_changed(r, &job.id, e);
}
