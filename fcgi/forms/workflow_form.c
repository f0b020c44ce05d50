#include "fcgi/forms/workflow_form.h"

#include <string.h>
#include <talloc.h>

#include "base/utf8.h"
#include "fcgi/forms/form.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "fcgi/http/request_body.h"
#include "fcgi/http/slow.h"
#include "mcp/tool_name.h"
#include "store/skill.h"
#include "json/json_changed.h"
#include "json/json_raw.h"

/* Reads a string without NULs; absent if the member is missing or null. False if it is something else. */
static bool read_form_text(json_object *body, const char *name, struct span *span_r)
{
    json_object *value = json_get(body, name);
    *span_r = (struct span){0};
    if (!value)
        return true;
    *span_r = (struct span){json_object_get_string(value), (size_t)json_object_get_string_len(value)};
    return json_object_is_type(value, json_type_string) && strlen(span_r->at) == span_r->size;
}

/* Reads whether agents see the workflow, and chooses the name of its tool. False: it is no boolean. */
static bool read_expose(json_object *body, struct workflow_change *c)
{
    json_object *expose = json_get(body, "expose");
    if (expose && !json_object_is_type(expose, json_type_boolean))
        return false;
    if (!json_object_get_boolean(expose))
        return true;
    char *tool = talloc_size(c->problems, MCP_TOOL_NAME_MAX + 1);
    mcp_tool_name(c->name.at, c->name.size, &c->workflow_id, tool);
    c->tool = span_text(tool);
    return true;
}

static bool check_members(struct request *r, json_object *body, struct workflow_change *c)
{
    if (!form_members_are_known(r, body, "name description expose program"))
        return false;
    if (!read_form_text(body, "name", &c->name) || !c->name.at || c->name.size == 0 ||
        utf8_count(c->name.at, c->name.size) > WORKFLOW_NAME_MAX)
        return form_reject_value(r, "name", "a string of 1 to 200 characters");
    if (!read_form_text(body, "description", &c->description) ||
        c->description.size > WORKFLOW_DESCRIPTION_MAX)
        return form_reject_value(r, "description", "a string of at most 16384 octets");
    if (!read_expose(body, c))
        return form_reject_value(r, "expose", "true or false");
    if (!json_get(body, "program"))
        return form_reject_value(r, "program", "an object");
    return true;
}

int workflow_form_reject(struct request *r, const struct workflow_change *c)
{
    /* the compiler's pointers start at the program, the client's document is the body */
    for (size_t i = 0; i < c->problems->count; i++)
        c->problems->list[i].pointer = talloc_asprintf(r, "/program%s", c->problems->list[i].pointer);
    return reply_problems(r, 422, "invalid_program", c->problems, "The program has %zu error%s.",
                          c->problems->total, c->problems->total == 1 ? "" : "s");
}

/* request_json has rejected the body. If the text would be accepted but for places in the program that json-c
 * would change, rejects it with their pointers instead. False. */
static bool reject_changed_places(struct request *r, struct json_problems *problems)
{
    json_object *body;
    const char *why;
    if (r->problem.status != 400 || json_has_too_many_values(r->body, r->body_size) ||
        json_parse_tolerant(r, r->body, r->body_size, JSON_DEPTH_MAX, &body, &why) != OK)
        return false;
    json_find_changed(r, r->body, r->body_size, problems);
    for (size_t i = 0; i < problems->count; i++) {
        if (strncmp(problems->list[i].pointer, "/program/", strlen("/program/")) != 0)
            return false;
    }
    if (problems->count > 0)
        reply_problems(r, 422, "invalid_program", problems, "The program has %zu error%s.", problems->total,
                       problems->total == 1 ? "" : "s");
    return false;
}

static bool form_check_credits(struct request *r, struct workflow_change *c)
{
    int64_t min;
    id workflow = {{0}}; /* a new workflow has no price */
    if (!c->is_new)
        workflow = c->workflow_id;
    if (c->compiled->credits_micro == 0)
        return true;
    enum err e = workflow_price(r->app->db, r, &c->workspace_id, &workflow, &min);
    if (e != OK)
        reply_err(r, e);
    else if (c->compiled->credits_micro < min)
        json_problems_add(c->problems, "/credits", "is less than the price of a run");
    return e == OK;
}

/* True unless the skill is known to be missing: a failed look-up is not an error of the program. */
static bool skill_exists(void *arg, const char *slug)
{
    struct request *r = arg;
    struct skill skill;
    return skill_get_current(r->app->db, r, &r->access.workspace_id, slug, &skill) != ERR_NOT_FOUND;
}

bool workflow_form_read(struct request *r, struct workflow_change *c)
{
    json_object *body;
    struct program *program = NULL;
    struct program_hooks hooks = {.skill_exists = skill_exists, .arg = r};
    c->workspace_id = r->access.workspace_id;
    c->principal_id = r->access.principal_id;
    c->problems = json_problems_new(r);
    if (!request_json(r, &body))
        return reject_changed_places(r, c->problems);
    if (!body)
        return form_reject_value(r, "The body",
                                 "a JSON object with name, program and optionally description");
    if (!check_members(r, body, c))
        return false;
    json_raw_member(r->body, r->body_size, "program", &c->program.at, &c->program.size);
    enum err e = program_compile(r, json_get(body, "program"), &hooks, &program, c->problems);
    slow_end(r->app);
    c->compiled = program;
    if (e == OK && !form_check_credits(r, c))
        return false;
    if (e != OK || c->problems->total > 0)
        workflow_form_reject(r, c);
    return e == OK && c->problems->total == 0;
}
