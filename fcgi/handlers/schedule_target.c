/* POST /schedules/{id}/trigger and backfill, and the checks of what a schedule starts (docs/schedules.md) */
#include "fcgi/handlers/schedule_target.h"

#include <talloc.h>

#include "base/scopes.h"
#include "fcgi/cache/skill_cache.h"
#include "fcgi/forms/once_reply.h"
#include "fcgi/forms/run_form.h"
#include "fcgi/forms/schedule_form.h"
#include "fcgi/forms/start_run.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/handlers/skill_target.h"
#include "fcgi/handlers/workflow_target.h"
#include "fcgi/http/app.h"
#include "fcgi/http/auth.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "fcgi/http/request_body.h"
#include "skill/extra.h"
#include "json/json_write.h"

bool schedule_of_path(struct request *r, struct schedule *s_r)
{
    id schedule;
    if (!request_path_id(r, 0, &schedule))
        return false;
    enum err e = schedule_get(r->app->db, r, &r->access.workspace_id, &schedule, s_r);
    if (e != OK)
        reply_err(r, e);
    return e == OK;
}

bool schedule_require_scope(struct request *r, const struct schedule *s)
{
    return auth_require_scope(r, s->skill ? SCOPE_SKILLS_EXECUTE : SCOPE_WORKFLOWS_EXECUTE);
}

/* Fills in what a run of the skill needs. */
static bool validate_skill(struct request *r, const char *slug, struct run_request *req)
{
    const struct manifest *m;
    struct skill skill;
    enum err e = skill_get_current(r->app->db, r, &r->access.workspace_id, slug, &skill);
    if (e == OK)
        e = skill_cache_manifest(r, &skill, &m);
    if (e != OK) {
        reply_err(r, e);
        return false;
    }
    struct skill_extra extra = {.slug = skill.slug, .label = skill.label};
    if (!run_form_check_inputs(r, req, m->inputs) || !skill_choose_model(r, NULL, m, &extra.model))
        return false;
    skill_set_target(req, &skill);
    req->extra = skill_extra_json(r, &extra);
    return true;
}

static bool validate(struct request *r, const struct schedule *s, struct run_request *req)
{
    req->kind = s->kind;
    req->responder_id = s->responder_id;
    req->input = s->input;
    if (s->skill && !req->input.at)
        req->input = span_text("{}");
    return s->skill ? validate_skill(r, s->skill, req) : workflow_validate_target(r, req, true);
}

bool schedule_check_target(struct request *r, struct schedule *s)
{
    struct run_request req = {0};
    if (!validate(r, s, &req))
        return false;
    s->responder_id = req.responder_id;
    return true;
}

/* A target_validator. The nominal time is MariaDB's clock; it is read anew if another trigger has taken the
 * same millisecond. */
static bool trigger_validate_target(struct request *r, struct run_request *req, bool is_repeated)
{
    const id no_workflow = {{0}};
    struct schedule s;
    if (!schedule_of_path(r, &s) || !schedule_require_scope(r, &s))
        return false;
    if (is_repeated && s.overlap == OVERLAP_STOP_PREVIOUS)
        schedule_stop_active(r->app->db, r->app->redis, r, &s.workspace_id, &s.id);
    req->principal_id = s.principal_id;
    req->key_id = s.key_id;
    req->tags = s.tags;
    req->metadata = s.metadata;
    req->extra = s.skill ? (struct span){0} : schedule_run_extra(r, s.now_ms);
    req->occurrence = (struct occurrence){
        .schedule_id = s.id, .nominal_ms = s.now_ms, .revision = s.revision, .origin = ORIGIN_TRIGGER};
    if (!validate(r, &s, req))
        return false;
    req->first_response.body = run_accepted_body(
        r, &(struct run_accepted){&req->execution_id, s.skill ? &no_workflow : &s.responder_id,
                                  &req->retry_of, 0, 0});
    return true;
}

int h_schedule_trigger(struct request *r)
{
    struct run_request req = {.first_response.status = 202};
    json_object *body; /* optional; its members are ignored */
    if (!start_run_prepare(r, &req) || !request_json(r, &body))
        return reply_rejected(r);
    return start_run(r, &req, trigger_validate_target);
}

/* The times in [from, to), up to MariaDB's clock. False: they are too many, and the request is rejected. */
static bool backfill_times(struct request *r, const struct schedule *s, const struct timing *timing,
                           int64_t from_ms, int64_t to_ms, struct schedule_backfill *b)
{
    int64_t *times = talloc_array(r, int64_t, SCHEDULE_BACKFILL_MAX);
    b->times = times;
    if (to_ms > s->now_ms)
        to_ms = s->now_ms;
    for (int64_t at = timing_next(timing, from_ms - 1); at != TIMING_NEVER && at < to_ms;
         at = timing_next(timing, at)) {
        if (b->n == SCHEDULE_BACKFILL_MAX)
            return request_reject(r, 422, "invalid_schedule",
                                  "The schedule has more than 1000 times between from and to.");
        times[b->n++] = at;
    }
    return true;
}

struct backfill_counts {
    const struct schedule_backfill *b;
    size_t added;
};

static enum err respond_backfilled(struct db_tx *tx, struct once *o)
{
    const struct backfill_counts *counts = o->arg;
    struct json_write *w = json_write_new(o->ctx);
    (void)tx;
    json_write_open(w, '{');
    json_write_int(w, "occurrences", (int64_t)counts->added);
    json_write_int(w, "existing", (int64_t)(counts->b->n - counts->added));
    json_write_close(w, '}');
    return once_respond(o, w);
}

int h_schedule_backfill(struct request *r)
{
    struct schedule s;
    struct timing timing;
    int64_t from_ms, to_ms;
    struct schedule_backfill b = {.workspace = &s.workspace_id, .schedule = &s.id};
    struct backfill_counts counts = {.b = &b};
    struct once once = {.respond = respond_backfilled, .arg = &counts};
    if (!once_read(r, &once, 202))
        return reply_rejected(r);
    if (!schedule_of_path(r, &s) || !schedule_require_scope(r, &s) ||
        !schedule_form_read_range(r, &from_ms, &to_ms))
        return once_reject(r, &once);
    if (!schedule_timing(r, &s, &timing))
        return reply_err(r, ERR_INTERNAL);
    if (!backfill_times(r, &s, &timing, from_ms, to_ms, &b))
        return once_reject(r, &once);
    enum err e = schedule_backfill(r->app->db, &b, &counts.added, &once);
    if (e == ERR_CONFLICT)
        return reply_problem(r, 409, "backfill_in_progress", "A backfill of the schedule has not ended yet.");
    return e == OK ? once_reply(r, &once) : reply_err(r, e);
}
