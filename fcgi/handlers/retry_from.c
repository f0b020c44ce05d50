#include "fcgi/handlers/retry_from.h"

#include <string.h>
#include <talloc.h>

#include "fcgi/cache/workflow_cache.h"
#include "fcgi/forms/form.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "fcgi/http/request_body.h"
#include "workflow/adoption.h"
#include "json/json.h"

static bool read_from(struct request *r, json_object *body, struct retry_form *form)
{
    json_object *from;
    if (!json_object_object_get_ex(body, "from", &from))
        return true;
    struct span text = json_span(from);
    if (text.size < 1 || text.size > PROGRAM_NAME_MAX || strlen(text.at) != text.size)
        return form_reject_value(r, "from", "\"failed\" or the name of a step");
    form->from = text.at;
    return true;
}

static bool read_version(struct request *r, json_object *body, struct retry_form *form)
{
    json_object *version;
    if (!json_object_object_get_ex(body, "version", &version))
        return true;
    const char *word = json_get_text(body, "version");
    form->current = word && strcmp(word, "current") == 0;
    if (!word || (!form->current && strcmp(word, "same") != 0))
        return form_reject_value(r, "version", "\"same\" or \"current\"");
    return true;
}

bool retry_form_read(struct request *r, struct retry_form *form)
{
    json_object *body;
    *form = (struct retry_form){0};
    if (!request_json(r, &body))
        return false;
    if (!body)
        return true;
    if (!form_members_are_known(r, body, "from inputs version") || !read_from(r, body, form) ||
        !read_version(r, body, form))
        return false;
    if (json_get(body, "inputs"))
        form->inputs = form_raw_member(r, body, "inputs");
    return true;
}

/* The steps of the old execution: copies, because its program leaves the cache. `loop_r`, by step: it is a
 * for_each. */
static enum err read_old_steps(struct request *r, const struct execution *exec, struct adopted_step **steps_r,
                               size_t *n_r, bool **loop_r)
{
    const struct compiled *old;
    struct execution_step *list;
    size_t n;
    enum err e = workflow_cache_compiled(r, &exec->responder_id, exec->version, &old);
    if (e == OK)
        e = execution_step_states(r->app->db, r, &exec->id, &list, &n);
    if (e != OK)
        return e;
    const struct program *program = old->program;
    struct adopted_step *steps = talloc_zero_array(r, struct adopted_step, program->main_count);
    *loop_r = talloc_zero_array(r, bool, program->main_count);
    for (size_t i = 0; i < program->main_count; i++) {
        steps[i].name = talloc_strdup(steps, program->steps[i].name);
        (*loop_r)[i] = program->steps[i].for_each != NULL;
    }
    for (size_t i = 0; i < n; i++) {
        int step = list[i].step;
        if (step < 0 || (size_t)step >= program->main_count)
            continue;
        if (list[i].status == STEP_STATUS_COMPLETED || list[i].status == STEP_STATUS_SKIPPED)
            steps[step].end = ADOPTED_ENDED;
        else if (list[i].status == STEP_STATUS_FAILED && program->steps[step].continue_on_error)
            steps[step].end = ADOPTED_FAILED;
    }
    *steps_r = steps;
    *n_r = program->main_count;
    return OK;
}

/* The time of the schedule that had started the old execution stays in the scope of the retry. */
static void write_extra(struct request *r, const struct execution *exec, const struct adoption *a,
                        struct run_request *req)
{
    json_object *old = NULL;
    json_object *scheduled_for;
    const char *why;
    json_object *extra = json_own(r, json_object_new_object());
    if (exec->extra &&
        json_parse_tolerant(r, exec->extra, strlen(exec->extra), JSON_DEPTH_MAX, &old, &why) == OK &&
        json_object_object_get_ex(old, "scheduled_for", &scheduled_for))
        json_object_object_add(extra, "scheduled_for", json_object_get(scheduled_for));
    if (a)
        json_object_object_add(extra, "adopt", adoption_json(a));
    req->extra = (struct span){0};
    if (json_object_object_length(extra) > 0)
        req->extra.at = json_text(extra, &req->extra.size);
}

static bool reject_from(struct request *r, const char *why)
{
    struct json_problems *p = json_problems_new(r);
    json_problems_add(p, "/from", "%s", why);
    reply_problems(r, 422, "invalid_request", p, "The execution cannot be retried from there.");
    return false;
}

bool retry_plan(struct request *r, const struct execution *exec, const struct retry_form *form,
                struct run_request *req)
{
    struct adoption a;
    struct adopted_step *old;
    const struct compiled *now;
    size_t old_n;
    bool *is_loop;
    if (!form->from) {
        write_extra(r, exec, NULL, req);
        return true;
    }
    enum err e = read_old_steps(r, exec, &old, &old_n, &is_loop);
    if (e == OK)
        e = workflow_cache_compiled(r, &req->responder_id, req->version, &now);
    if (e != OK) {
        reply_err(r, e);
        return false;
    }
    const char *why = adoption_plan(r, old, old_n, now->program, form->from, &a);
    if (why)
        return reject_from(r, why);
    a.of = exec->id;
    a.items = req->version == exec->version && !form->inputs.at && strcmp(form->from, "failed") == 0 &&
              a.n < old_n && is_loop[a.n];
    write_extra(r, exec, &a, req);
    return true;
}
