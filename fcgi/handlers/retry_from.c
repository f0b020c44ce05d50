#include "fcgi/handlers/retry_from.h"

#include <string.h>
#include <talloc.h>

#include "fcgi/cache/workflow_cache.h"
#include "fcgi/forms/form.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "fcgi/http/request_body.h"
#include "retry/retry.h"
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

bool retry_form_read_members(struct request *r, json_object *body, struct retry_form *form)
{
    *form = (struct retry_form){0};
    return read_from(r, body, form) && read_version(r, body, form);
}

bool retry_form_read(struct request *r, struct retry_form *form)
{
    json_object *body;
    *form = (struct retry_form){0};
    if (!request_json(r, &body))
        return false;
    if (!body)
        return true;
    if (!form_members_are_known(r, body, "from inputs version") || !retry_form_read_members(r, body, form))
        return false;
    if (json_get(body, "inputs"))
        form->inputs = form_raw_member(r, body, "inputs");
    return true;
}

static enum err read_program(void *arg, const id *workflow, int version, const struct program **program_r)
{
    const struct compiled *compiled;
    enum err e = workflow_cache_compiled(arg, workflow, version, &compiled);
    if (e == OK)
        *program_r = compiled->program;
    return e;
}

static bool reject_from(struct request *r, const char *why)
{
    struct json_problems *p = json_problems_new(r);
    json_problems_add(p, "/from", "%s", why);
    reply_problems(r, 422, "invalid_request", p, "The execution cannot be retried from there.");
    return false;
}

bool retry_form_plan(struct request *r, const struct execution *exec, const struct retry_form *form,
                     struct run_request *req)
{
    const struct retry_programs programs = {read_program, r};
    const struct retry_from from = {form->from, form->inputs.at != NULL};
    const char *why;
    enum err e = retry_plan(r->app->db, r, &programs, exec, from, req, &why);
    if (e != OK && why)
        return reject_from(r, why);
    if (e != OK)
        reply_err(r, e);
    return e == OK;
}
