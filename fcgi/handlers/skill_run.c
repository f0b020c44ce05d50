/* POST /spaces/{space}/skills/{slug}/executions, /estimate */
#include <string.h>
#include <talloc.h>

#include "fcgi/cache/skill_cache.h"
#include "fcgi/forms/form.h"
#include "fcgi/forms/run_form.h"
#include "fcgi/forms/skill_reply.h"
#include "fcgi/forms/start_run.h"
#include "fcgi/handlers/estimate.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/handlers/skill_target.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "fcgi/http/request_body.h"
#include "skill/extra.h"
#include "store/model.h"

enum { FILES_MAX = 1000 };

/* --- the body --- */

static void read_skill_inputs(struct request *r, json_object *body, struct skill_start_form *s,
                              struct json_problems *p)
{
    s->inputs = json_get(body, "inputs");
    if (!s->inputs)
        json_problems_add(p, "/inputs", "is required");
    else if (!json_object_is_type(s->inputs, json_type_object))
        json_problems_add(p, "/inputs", "must be an object");
    else
        s->run.input = form_raw_member(r, body, "inputs");
}

static void read_file_source_ids(struct request *r, json_object *body, struct skill_start_form *s,
                                 struct json_problems *p)
{
    json_object *list = json_get(body, "file_source_ids");
    if (!list)
        return;
    if (!json_object_is_type(list, json_type_array) || json_object_array_length(list) > FILES_MAX) {
        json_problems_add(p, "/file_source_ids", "must be an array of at most %d strings", FILES_MAX);
        return;
    }
    s->files_n = json_object_array_length(list);
    s->files = talloc_array(r, const char *, s->files_n + 1);
    for (size_t i = 0; i < s->files_n; i++) {
        json_object *name = json_object_array_get_idx(list, i);
        const char *text = json_plain(name);
        s->files[i] = text ? text : "";
        if (!text)
            json_problems_add(p, talloc_asprintf(r, "/file_source_ids/%zu", i),
                              "must be a string without NULs");
    }
}

/* Reads the alias of a model. An empty object, as in the curl example of the API's documentation, counts as
 * absent. */
static void read_model_alias(json_object *body, struct skill_start_form *s, struct json_problems *p)
{
    json_object *model = json_get(body, "model");
    bool empty = json_object_is_type(model, json_type_object) && json_object_object_length(model) == 0;
    if (!model || empty)
        return;
    s->model = json_get_text(body, "model");
    if (!s->model || strlen(s->model) != (size_t)json_object_get_string_len(model))
        json_problems_add(p, "/model", "must be the alias of a model");
}

static bool read_skill_form(struct request *r, struct skill_start_form *s)
{
    json_object *body;
    struct json_problems *p = json_problems_new(r);
    if (!request_json(r, &body) ||
        (body &&
         !form_members_are_known(r, body, "inputs file_source_ids model chat webhook " RUN_TIME_MEMBERS)))
        return false;
    if (!run_form_read_webhook(r, json_get(body, "webhook"), &s->run))
        return false;
    if (!run_form_read_chat(json_get(body, "chat"), &s->run))
        return form_reject_value(r, "chat", RUN_CHAT_RULE);
    if (!run_form_read_times(r, body, &s->run))
        return false;
    read_skill_inputs(r, body, s, p);
    read_file_source_ids(r, body, s, p);
    read_model_alias(body, s, p);
    if (p->total > 0)
        reply_problems(r, 422, "invalid_inputs", p,
                       "The body has members with wrong values; errors lists them.");
    return p->total == 0;
}

/* --- validation of the target, once the idempotency key is known to be unused --- */

static bool skill_check_inputs(struct request *r, const struct skill_start_form *s, const struct manifest *m)
{
    struct schema_problems found = {0};
    enum err e = form_validate(r, m->inputs, s->inputs, &found);
    if (e == OK || e == ERR_RETRY)
        return e == OK;
    reply_problems(r, 422, "invalid_inputs", form_input_problems(r, &found),
                   "The inputs do not match the skill's schema.");
    return false;
}

void skill_set_target(struct run_request *req, const struct skill *skill)
{
    req->responder_id = skill->id;
    req->version = skill->version;
    req->agentic = skill->agentic;
    req->price = skill->price;
    req->credits_asked = skill->credits;
}

bool skill_choose_model(struct request *r, const char *asked, const struct manifest *m, const char **alias_r)
{
    struct json_problems *p = json_problems_new(r);
    *alias_r = NULL;
    if (!asked && m->runner != RUNNER_MODEL)
        return true;
    enum err e = asked && !model_alias_fits(asked)
                     ? ERR_NOT_FOUND
                     : model_resolve(r->app->db, r, &r->access.workspace_id, asked, alias_r);
    if (e == ERR_NOT_FOUND) {
        json_problems_add(p, "/model",
                          asked ? "is not configured for this workspace"
                                : "is required: the workspace has no default model");
        reply_problems(r, 422, "model_not_allowed", p, "The model is not configured for this workspace.");
    } else if (e != OK) {
        reply_err(r, e);
    }
    return e == OK;
}

static struct span start_extra(struct request *r, const struct skill_start_form *s, const struct skill *skill,
                               const char *model)
{
    struct skill_extra extra = {
        .slug = skill->slug,
        .label = skill->label,
        .model = model,
        .file_source_ids = s->files,
        .file_source_ids_n = s->files_n,
        .idempotency_key = s->run.idempotency_key,
    };
    return skill_extra_json(r, &extra);
}

static const char *span_to_text(struct request *r, struct span s)
{
    return s.at ? talloc_strndup(r, s.at, s.size) : NULL;
}

static struct span skill_accepted_body(struct request *r, const struct run_request *req,
                                       const struct skill *skill)
{
    struct skill_execution exec = {
        .id = req->execution_id,
        .tenant_id = skill->tenant_id,
        .workspace_id = req->workspace_id,
        .principal_id = req->principal_id,
        .slug = skill->slug,
        .label = skill->label,
        .source = req->source,
        .state = STATE_QUEUED,
        .input = req->input,
        .extra = req->extra.at,
        .thread_id = span_to_text(r, req->thread_id),
        .message_id = req->message_id,
        .tool_call_id = span_to_text(r, req->tool_call_id),
    };
    return skill_execution_body(r, &exec);
}

bool skill_validate_target(struct request *r, struct run_request *req, bool bypass_cache)
{
    struct skill_start_form *s = (struct skill_start_form *)req;
    const struct manifest *m;
    struct skill skill;
    const char *model;
    (void)bypass_cache; /* the only cache holds manifests, which never change */
    enum err e = skill_get_current(r->app->db, r, &r->access.workspace_id, s->slug, &skill);
    if (e == OK)
        e = skill_cache_manifest(r, &skill, &m);
    if (e != OK) {
        reply_err(r, e);
        return false;
    }
    if (!skill_check_inputs(r, s, m) || !skill_choose_model(r, s->model, m, &model))
        return false;
    skill_set_target(req, &skill);
    req->extra = start_extra(r, s, &skill, model);
    req->first_response.body = skill_accepted_body(r, req, &skill);
    return true;
}

static bool read_start(struct request *r, struct skill_start_form *s)
{
    if (!require_own_space(r))
        return false;
    s->slug = r->path_values[1];
    return start_run_prepare(r, &s->run) && read_skill_form(r, s);
}

int h_skill_run(struct request *r)
{
    struct skill_start_form s = {.run = {.kind = KIND_SKILL, .first_response.status = 201}};
    return read_start(r, &s) ? start_run(r, &s.run, skill_validate_target) : reply_rejected(r);
}

int h_skill_estimate(struct request *r)
{
    struct skill_start_form s = {.run = {.kind = KIND_SKILL, .first_response.status = 201}};
    return read_start(r, &s) ? reply_estimate(r, &s.run, skill_validate_target) : reply_rejected(r);
}
