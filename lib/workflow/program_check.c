#include "workflow/program_check.h"

#include <math.h>
#include <string.h>
#include <talloc.h>

#include "json/json.h"

/* The members that ${/execution/...} may refer to; `failure` besides, in the steps of on_failure. */
static const char *const execution_fields[] = {
    "id",         "workflow_id", "workspace_id", "parent_id",     "root_id",
    "created_at", "tags",        "metadata",     "scheduled_for", NULL};

static bool is_listed(const char *const *list, const char *name, size_t size)
{
    for (; list && *list; list++) {
        if (strlen(*list) == size && memcmp(*list, name, size) == 0)
            return true;
    }
    return false;
}

/* --- references ----------------------------------------------------------------------------------------- */

static const char *allow_step(struct template_place *p, void *ctx, const char *rest)
{
    static const char *const members[] = {"result", "status", "error", NULL};
    struct program_checker *c = p->check;
    if (!*rest)
        return NULL; /* the object of all earlier steps */
    size_t size = strcspn(rest + 1, "/");
    size_t i = 0;
    while (i < c->step_count &&
           !(c->names[i] && strlen(c->names[i]) == size && memcmp(c->names[i], rest + 1, size) == 0))
        i++;
    if (i == c->step_count)
        return talloc_asprintf(ctx, "unknown step \"%.*s\"", (int)size, rest + 1);
    if (i >= p->step)
        return talloc_asprintf(ctx, "step %s is not earlier than this one", c->names[i]);
    rest += 1 + size;
    if (!*rest)
        return NULL;
    size = strcspn(rest + 1, "/");
    if (!is_listed(members, rest + 1, size))
        return "a step has only the members result, status and error";
    if (rest[1] != 'r' && rest[1 + size])
        return "status and error of a step are texts and have no members";
    return NULL;
}

/* Adds the name to those of the program. */
static const char *note_secret(struct program *program, const char *name)
{
    for (size_t i = 0; i < program->secrets_n; i++) {
        if (strcmp(program->secrets[i], name) == 0)
            return NULL;
    }
    if (program->secrets_n == PROGRAM_SECRETS_MAX)
        return "a program refers to at most 100 secrets";
    program->secrets = talloc_realloc(program, program->secrets, const char *, program->secrets_n + 1);
    program->secrets[program->secrets_n++] = talloc_strdup(program->secrets, name);
    return NULL;
}

static const char *allow_execution(const struct template_place *p, const char *rest)
{
    static const char *const failure[] = {"failure", NULL};
    static const char *const members[] = {"step", "reason", "error", NULL};
    size_t size = *rest ? strcspn(rest + 1, "/") : 0;
    if (!*rest || is_listed(execution_fields, rest + 1, size))
        return NULL;
    if (!is_listed(failure, rest + 1, size))
        return "the execution has only the members id, workflow_id, workspace_id, parent_id, root_id, "
               "created_at, tags, metadata and scheduled_for, and failure in the steps of on_failure";
    if (!p->in_failure)
        return "failure exists only in the steps of on_failure";
    rest += 1 + size;
    return !*rest || is_listed(members, rest + 1, strlen(rest + 1))
               ? NULL
               : "failure has only the members step, reason and error, which have no members";
}

static const char *allow_reference(void *arg, void *ctx, const struct reference *r)
{
    struct template_place *p = arg;
    switch (r->root) {
    case REF_STEPS:
        return allow_step(p, ctx, r->rest);
    case REF_ITEM:
    case REF_INDEX:
        return p->in_loop ? NULL : "item and index exist only in a step with for_each";
    case REF_SECRETS:
        return p->in_request ? note_secret(p->check->program, r->rest + 1)
                             : "secrets can be used only in the request of an http step";
    case REF_EXECUTION:
        return allow_execution(p, r->rest);
    default:
        return NULL;
    }
}

struct template_rules program_check_rules(struct template_place *place)
{
    return (struct template_rules){.allow = allow_reference, .arg = place};
}

struct json_template *program_check_template(struct template_place *place, json_object *value,
                                             enum template_form form, const char *at)
{
    struct template_rules rules = program_check_rules(place);
    return template_compile(place->check->program, value, form, at, &rules, place->check->problems);
}

/* --- members -------------------------------------------------------------------------------------------- */

const char *program_check_at(struct program_checker *c, const char *pointer, const char *name)
{
    return json_pointer_join(c->scratch, pointer, name);
}

void program_check_fields(struct program_checker *c, json_object *object, const char *pointer,
                          const char *const *known, const char *const *also)
{
    json_object_object_foreach(object, key, member)
    {
        (void)member;
        if (!is_listed(known, key, strlen(key)) && !is_listed(also, key, strlen(key)))
            json_problems_add(c->problems, program_check_at(c, pointer, key), "unknown field");
    }
}

bool program_check_member(struct program_checker *c, json_object *object, const char *pointer,
                          const char *name, bool required, json_object **value_r, const char **at_r)
{
    *at_r = program_check_at(c, pointer, name);
    if (json_object_object_get_ex(object, name, value_r))
        return true;
    if (required)
        json_problems_add(c->problems, pointer, "%s is missing", name);
    return false;
}

bool program_check_seconds(struct program_checker *c, json_object *object, const char *pointer,
                           const char *name, double least, double most, int64_t *ms_r)
{
    json_object *value;
    const char *at;
    if (!program_check_member(c, object, pointer, name, false, &value, &at))
        return false;
    bool number = json_object_is_type(value, json_type_int) || json_object_is_type(value, json_type_double);
    double seconds = number ? json_object_get_double(value) : NAN;
    if (!(seconds >= least && seconds <= most)) {
        json_problems_add(c->problems, at, "must be a number of seconds from %.10g to %.10g", least, most);
        return false;
    }
    /* the subtraction, because a product such as 0.3 * 1000 may be slightly above the exact value */
    *ms_r = (int64_t)ceil(seconds * 1000 - 1e-6);
    return true;
}

bool program_check_integer(struct program_checker *c, json_object *object, const char *pointer,
                           const char *name, int least, int most, int *value_r)
{
    json_object *value;
    const char *at;
    if (!program_check_member(c, object, pointer, name, false, &value, &at))
        return false;
    bool number = json_object_is_type(value, json_type_int) || json_object_is_type(value, json_type_double);
    double d = number ? json_object_get_double(value) : NAN;
    if (!(d >= least && d <= most && floor(d) == d)) {
        json_problems_add(c->problems, at, "must be a whole number from %d to %d", least, most);
        return false;
    }
    *value_r = (int)d;
    return true;
}

bool program_check_text(struct program_checker *c, json_object *object, const char *pointer, const char *name,
                        const char **text_r)
{
    json_object *value;
    const char *at;
    if (!program_check_member(c, object, pointer, name, true, &value, &at))
        return false;
    *text_r = json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
    if (!**text_r || strlen(*text_r) != (size_t)json_object_get_string_len(value)) {
        json_problems_add(c->problems, at, "must be a non-empty string without NUL");
        return false;
    }
    return true;
}
